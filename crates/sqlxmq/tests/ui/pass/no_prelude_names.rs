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

#[::sqlxmq::job(version = 2, upgrade = from_v1, timeout = "1m")]
async fn typed(_json: ::sqlxmq::Json<u32>, _bytes: ::sqlxmq::Bytes, _job: &mut ::sqlxmq::CurrentJob, _context: u32) {}

fn from_v1(old: u8) -> u32 {
    ::std::convert::Into::into(old)
}

fn main() {
    ::std::assert!(::std::primitive::str::ends_with(job.name(), "::job"));
}
