//! From other queues: their words and ours.
//!
//! The habits at the end matter more than the words.
//!
//! # Words
//!
//! | | River | Oban | Sidekiq | graphile-worker | pgmq | apalis |
//! |---|---|---|---|---|---|---|
//! | **job** (a function with [`#[job]`](macro@crate::job)) | `Worker[Args]` | worker module | job class | task | | handler |
//! | **name** | `Kind()` | module name | class name | task identifier | | the task's type |
//! | **payload** ([`Json<T>`](crate::Json)) | `Args` | `args` | arguments | payload | message | the task's argument |
//! | **spawn** | `Insert`, `InsertTx` | `Oban.insert` | `perform_async` | `add_job` | `send` | `push` |
//! | **spawn in a transaction** | `InsertTx` | `Ecto.Multi` | after commit | SQL `add_job` | SQL `send` | |
//! | **delay** ([`set_delay`](crate::JobBuilder::set_delay), [`spawn_at`](crate::JobBuilder::spawn_at)) | `ScheduledAt` | `schedule_in` | `perform_in` | `run_at` | `delay` | `schedule` |
//! | **channel name** | queue | queue | queue | | queue | namespace, queue |
//! | **channel args + ordered** | sequence (Pro) | chain (Pro) | | `queue_name` | | |
//! | **runner** | client | queue producer | process | runner | your loop | worker, monitor |
//! | **context** ([`set_context`](crate::JobRegistry::set_context)) | struct fields | application env | globals | extensions | | `Data<T>` |
//! | **lease** | rescue after | lifeline, orphans | | `locked_at`, 4 hours | visibility timeout | re-enqueue orphans |
//! | **retries** | `MaxAttempts` 25 | `max_attempts` 20 | `retry` 25 | `max_attempts` 25 | `read_ct` | retry layer |
//! | **dead** | discarded | discarded | morgue | permanently failed | archive, by hand | killed |
//! | **snooze** ([`Outcome::Snooze`](crate::Outcome::Snooze)) | `JobSnooze` | `{:snooze, n}` | | | `set_vt` | |
//! | **give up** ([`Outcome::Dead`](crate::Outcome::Dead), [`permanent`](crate::permanent)) | `JobCancel` | `{:cancel, reason}` | `discard` | | `archive` | abort |
//! | **testing** ([`testing`](super::testing)) | `rivertest` | `Oban.Testing` | `Sidekiq::Testing` | `run_once` | | |
//!
//! # Habits to keep
//!
//! - Payloads are keys, not rows. Jobs are small and idempotent.
//! - Deploy at any time: a stop gives jobs back, and no attempt is used ([G14](super::guarantees#g14)).
//!
//! # Habits to drop
//!
//! - **`after_commit` hooks and outboxes.** Spawn inside of the transaction ([G1](super::guarantees#g1)). *(Sidekiq, and every broker.)*
//! - **Choosing a visibility timeout** that is longer than the longest job. Leases are renewed while the process lives, and end soon after it
//!   does ([G4](super::guarantees#g4)). A job may take hours. *(pgmq, SQS.)*
//! - **Deleting the message as the last step**, and living with the gap. Complete in the transaction that has the effects ([G3](super::guarantees#g3)). *(pgmq, River's `JobCompleteTx` is the same idea.)*
//! - **A queue for each tenant** so that nobody starves. Channels take turns by themselves, and there may be a hundred thousand ([G8](super::guarantees#g8)). *(all)*
//! - **A worker process for each kind of job.** A runner takes what its registry knows; `set_channel_names` if you do want them apart.
//! - **Many retries that end who knows when.** The default is 4, over a quarter of a minute. Set what fits the work: `retries = 10, backoff = "1m"`. *(25 elsewhere, over days.)*
//! - **Pruning completed jobs.** They are gone when they are done. Who wants a history writes it in the completing transaction. *(Oban, River.)*
//!
//! # What we do not have
//!
//! Cron, priorities, unique jobs, rate limits, workflows, a dashboard. A nightly job is one that spawns the next one with
//! [`spawn_at`](crate::JobBuilder::spawn_at), in the transaction that completes it; a unique one is `builder_with_id` with an id made from its key (a v5 UUID), which
//! [`SpawnError::DuplicateId`](crate::SpawnError::DuplicateId) refuses while the first is there.
