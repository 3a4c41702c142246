//! Keeping the tables small: declarations only.
//!
//! A row that is gone stays in its table and its indexes until a vacuum, and nothing but a rewrite gives the room back that they once took.

mod bounds;
mod horizon;
mod pace;
mod round;
mod vacuum;

pub(crate) use bounds::Bounds;
pub(crate) use horizon::Horizon;
pub(crate) use pace::{LOOK_EVERY, Pace};
pub use round::{CompactedTable, Compaction};
pub(crate) use round::{Round, round};
