//! Each promise with its number. The chapters link here.
//!
//! By which mechanism each is kept, and which test turns red without it, is in
//! [guarantees.md](https://github.com/Diggsey/sqlxmq/blob/main/docs/guarantees.md).
//!
//! **In one line:** a spawned job runs at least once, or ends where you can see it. Effects made in the transaction of
//! [`complete_with_transaction`](crate::CurrentJob::complete_with_transaction) happen exactly once.
//!
//! ## G1
//!
//! **Spawn is transactional.** The job exists if and only if the caller's transaction commits.
//!
//! ## G2
//!
//! **Nothing is lost.** Every committed job ends completed, dead, removed by an explicit call, or (held) expired.
//!
//! ## G3
//!
//! **Fencing.** An attempt whose claim is over changes nothing any more. So effects in `complete_with_transaction` happen exactly once. A
//! commit whose outcome is unknown is resolved, or reported.
//!
//! ## G4
//!
//! **Leases** are constant, renewed from a place that jobs can't starve, and audited. A crash gives the jobs back within lease + 2 s while
//! another runner is connected.
//!
//! ## G5
//!
//! **Retries**: retries + 1 attempts, backoff doubled, capped, at most 10 % later and never earlier. The last 20 errors are kept.
//!
//! ## G6
//!
//! **Dead is visible**, and does not block its channel.
//!
//! ## G7
//!
//! **Order**: if A's transaction committed before B's spawn call began, A has ended before B first starts. Overlapping spawns have no order
//! between them. Delay, backoff and held keep the place. Spawners never fail on it and never wait for each other.
//!
//! ## G8
//!
//! **Fairness**: while k channels have ready jobs, each has its turn within one rotation, up to spawns concurrent with it.
//!
//! ## G9
//!
//! **Two-phase**: commit says which jobs it committed; the others expired. Committing wakes.
//!
//! ## G10
//!
//! **Time** is the database's.
//!
//! ## G11
//!
//! **A runner claims only names it can run**, nor payloads of versions it can't read.
//!
//! ## G12
//!
//! **No silent death**: panics are failed attempts; the runner is supervised and reconnects; the handle resolves with the reason if it must
//! end; `health()` tells.
//!
//! ## G13
//!
//! **NOTIFY is a hint**, the poll interval the cap. Spawns of a busy queue do not notify.
//!
//! ## G14
//!
//! **Stop**: stop claiming, give back what was not started, wait up to the grace, cancel, give back the rest.
//!
//! ## G15
//!
//! **Input is bounded**, in the builder with a typed error, and in the schema.
//!
//! ## G16
//!
//! **The payload comes back byte for byte.**
