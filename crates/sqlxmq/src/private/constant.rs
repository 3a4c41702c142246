//! The bounds of constants that are given to `#[job]`, looked at by the compiler. What is said of `None` is the macro's: a panic
//! in here would be shown in here.

use std::time::Duration;

use crate::config::{MAX_CHANNEL_ARGS_BYTES, MAX_CHANNEL_NAME_BYTES, MAX_DURATION, MAX_RETRIES};

pub const fn channel_name(text: &'static str) -> Option<&'static str> {
    match text.len() <= MAX_CHANNEL_NAME_BYTES && has_no_nul(text) {
        true => Some(text),
        false => None,
    }
}

pub const fn channel_args(text: &'static str) -> Option<&'static str> {
    match text.len() <= MAX_CHANNEL_ARGS_BYTES && has_no_nul(text) {
        true => Some(text),
        false => None,
    }
}

pub const fn retries(retries: u32) -> Option<u32> {
    match retries <= MAX_RETRIES {
        true => Some(retries),
        false => None,
    }
}

pub const fn duration(duration: Duration) -> Option<Duration> {
    match duration.as_nanos() <= MAX_DURATION.as_nanos() {
        true => Some(duration),
        false => None,
    }
}

const fn has_no_nul(text: &str) -> bool {
    let mut bytes = text.as_bytes();
    while let [first, rest @ ..] = bytes {
        if *first == 0 {
            return false;
        }
        bytes = rest;
    }
    true
}
