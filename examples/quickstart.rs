//! Prints a greeting from a background job.

fn main() {}
