//! What the queue promises, shown end to end: through the public API, with processes of its own where the promise is about
//! processes. One module per guarantee.

mod checkpoints;
mod clearing;
mod delays;
mod exactly_once;
mod fairness;
mod latency;
mod migrating;
mod ordered;
mod process;
mod retries;
mod roles;
mod support;
mod two_phase;
