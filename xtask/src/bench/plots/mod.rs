//! The results as pictures: rates by backlog, channels and processes, and over time.
//!
//! They are drawn from `results.json` and nothing else, so results of long ago are drawn as those of now.
//! No measuring here.

mod axis;
mod chart;
mod draw;
mod lines;
mod measured;

pub use draw::draw;
