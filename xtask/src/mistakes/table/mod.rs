//! The mistakes.

mod attribute;
mod context;
mod database;
mod function;
mod payload;
mod program;
mod running;
mod spawning;

use super::mistake::Mistake;

/// All of them, in the order of the page.
pub fn all() -> impl Iterator<Item = &'static Mistake> {
    const TOPICS: &[&[Mistake]] = &[
        context::MISTAKES,
        payload::MISTAKES,
        function::MISTAKES,
        attribute::MISTAKES,
        database::MISTAKES,
        spawning::MISTAKES,
        running::MISTAKES,
    ];
    TOPICS.iter().copied().flatten()
}
