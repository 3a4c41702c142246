//! An argument with a `#[cfg]`, which the compiler takes away after the macro has counted it.

use sqlxmq::job;

#[job]
async fn import(#[cfg(unix)] _folder: &'static str, #[cfg_attr(windows, allow(unused))] _number: u32) {}

fn main() {}
