//! One thin, typed function per SQL function: declarations only.

pub(crate) mod compact;
pub(crate) mod operator;
pub(crate) mod producer;
pub(crate) mod runner;
pub(crate) mod timeout;
