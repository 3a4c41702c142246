//! Tests against a database, one module per behaviour.

mod admin;
mod backup;
mod commit;
mod migrate;
mod open_transactions;
mod races;
mod roles;
mod schema_rules;
mod spawn;
mod support;
