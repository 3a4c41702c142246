//! The guide: a chapter for each question, in the order in which they come up.
//!
//! | chapter | answers |
//! |---|---|
//! | [`first_job`] | a program that spawns and runs a job, from nothing |
//! | [`arguments`] | what a job's function can be given: payload, context, and what is made from the job |
//! | [`transactions`] | when a job exists, what happens once and what may happen twice, checkpoints, two phases |
//! | [`order`] | which job comes next: channels, strict order, fairness, delays |
//! | [`failures`] | retries, errors, panics, timeouts, dead jobs |
//! | [`evolution`] | changing a payload, a name or a schema while jobs are queued |
//! | [`testing`] | running jobs in tests, by a clock that the test moves |
//! | [`deploying`] | the schema, rights, connections, stopping, health, what to watch |
//! | [`many_hosts`] | several runners: what they share, what happens when one dies |
//! | [`from_0_6`] | from sqlxmq 0.6 |
//! | [`other_queues`] | from River, Oban, Sidekiq, graphile-worker, pgmq and apalis: their words and ours |
//! | [`guarantees`] | each promise with its number. The chapters link there |
//!
//! Every snippet is compiled by the tests, and most are run against a server.
//! A web application with all of it, to copy from, is [`examples/app`](https://github.com/Diggsey/sqlxmq/tree/main/examples/app).

pub mod arguments;
pub mod deploying;
pub mod evolution;
pub mod failures;
pub mod first_job;
pub mod from_0_6;
pub mod guarantees;
pub mod many_hosts;
pub mod order;
pub mod other_queues;
pub mod testing;
pub mod transactions;
