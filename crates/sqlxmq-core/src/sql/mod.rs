//! Every statement we send: declarations only.
//!
//! Names are unqualified: the objects live in the first schema of the search path at migration time.

pub(crate) mod compact;
pub(crate) mod migrate;
pub(crate) mod operator;
pub(crate) mod producer;
pub(crate) mod runner;
#[cfg(feature = "testing")]
pub(crate) mod testing;
