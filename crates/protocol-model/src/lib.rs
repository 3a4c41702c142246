//! A model of the queue's protocol, checked exhaustively: every order of every step of spawners, runners and the database, with
//! any fault between any two of them.
//!
//! What each action stands for, what is left out, and what was explored: `docs/design/model.md`. No I/O, and nothing of the
//! real code: the model is written from the SQL, so that the two can disagree.

mod action;
mod attempt;
mod cancel;
mod canonical;
mod check;
mod claim;
mod config;
mod configurations;
mod fault;
mod lease;
mod line;
mod mechanism;
mod next_in_line;
mod properties;
mod protocol;
mod quiet;
mod spawn;
mod state;

pub use check::{Outcome, Violation, check, check_up_to, check_without};
pub use config::{Config, Faults};
pub use configurations::{LARGE, SUITE};
pub use mechanism::Mechanism;
