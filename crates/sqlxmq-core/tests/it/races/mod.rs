//! Interleavings, statement by statement: two sessions that meet in the middle of their transactions.
//!
//! Each test is one story. A session that has to wait for another is started as a future and shown to wait by
//! `pg_stat_activity`, never by time.

mod beside;
mod cancel;
mod claim;
mod complete;
mod fail_as;
mod fairness;
mod isolation;
mod lease;
mod marks;
mod next_in_line;
mod ordered;
mod reach;
mod rules;
mod runs;
mod session;
mod two_phase;
mod wake;
