//! Tests against a database, one module per behaviour.

mod admin;
mod commit;
mod migrate;
mod races;
mod spawn;
mod support;
mod upgrade;
