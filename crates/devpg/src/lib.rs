//! A throw-away PostgreSQL for examples, tests and chores of this repository.
