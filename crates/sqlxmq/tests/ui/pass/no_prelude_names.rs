//! The generated code does not depend on the names around it.

#![no_implicit_prelude]
#![deny(warnings)]

#[allow(dead_code)]
mod sqlxmq {}
#[allow(dead_code)]
mod core {}
#[allow(dead_code)]
mod std {}
#[allow(dead_code)]
struct Result;
#[allow(dead_code)]
struct Box;
#[allow(dead_code)]
struct Send;

#[::sqlxmq::job(retries = 2, backoff_secs = 1.5)]
async fn job(_job: ::sqlxmq::CurrentJob, _context: u32) -> ::std::result::Result<(), ::std::fmt::Error> {
    ::std::result::Result::Ok(())
}

fn main() {
    ::std::assert!(::std::primitive::str::ends_with(job.name(), "::job"));
}
