//! Which mechanism of the runner's own code holds what. As [`functions`](super::functions), with text of a source file to replace.

mod compaction;
mod connections;
mod input;
mod jobs;
mod layers;
mod lease;
mod listener;
mod outcomes;
mod pauses;
mod spawner;
mod transactions;

/// A mechanism in Rust, how it is taken away, and what must turn red then.
pub struct Source {
    /// Two or three words for the report.
    pub name: &'static str,
    /// What goes wrong without it.
    pub without: &'static str,
    /// The file that has it, from the sources of the core; what to replace in it, wherever it stands; and by what. It is an error if
    /// the text is no longer there.
    pub patch: &'static [(&'static str, &'static str, &'static str)],
    /// The tests that must fail, by the last part of their path.
    pub turns_red: &'static [&'static str],
}

/// All of them, in the order of a job's life.
pub fn all() -> impl Iterator<Item = &'static Source> {
    const TOPICS: &[&[Source]] = &[
        input::ROWS,
        spawner::ROWS,
        pauses::ROWS,
        connections::ROWS,
        jobs::ROWS,
        layers::ROWS,
        lease::ROWS,
        transactions::ROWS,
        outcomes::ROWS,
        listener::ROWS,
        compaction::ROWS,
    ];
    TOPICS.iter().copied().flatten()
}
