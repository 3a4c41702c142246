//! Tests against a database, one module per behaviour.

mod admin;
mod backup;
mod bad_input;
mod commit;
mod faults;
mod interleavings;
mod laboratory;
mod migrate;
mod open_transactions;
mod races;
mod roles;
mod runner_attempts;
mod runner_crash;
mod runner_faults;
mod runner_lease;
mod runner_options;
mod runner_outage;
mod runner_schedule;
mod runner_stop;
mod runner_storm;
mod runner_support;
mod schema_rules;
mod sequences;
mod spawn;
mod support;
mod upgrade;
