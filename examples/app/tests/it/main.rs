//! The application's tests. Each has a database of its own, and runs the jobs in its own task, by a clock that it moves.

mod documents;
mod process;
mod reports;
mod sign_up;
mod support;
