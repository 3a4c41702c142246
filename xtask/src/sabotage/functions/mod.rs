//! Which mechanism of the stored functions holds what: each row takes one away, and names the tests that must notice.
//!
//! A row without tests is a promise that nothing holds yet; `cargo xtask sabotage` fails on it.

mod attempts;
mod cancel;
mod claim;
mod fence;
mod held;
mod lease;
mod marks;
mod spawn;
mod turns;
mod upkeep;
mod waking;

/// A mechanism, how it is taken away, and what must turn red then.
pub struct Mechanism {
    /// Two or three words for the report.
    pub name: &'static str,
    /// What goes wrong without it.
    pub without: &'static str,
    /// The function that has it, all of whose overloads are looked at, or the view, as the server spells it.
    pub function: &'static str,
    /// What to replace in the function's definition, as `pg_get_functiondef` prints it, and by what. It is an
    /// error if the text is no longer there.
    pub patch: &'static [(&'static str, &'static str)],
    /// The tests that must fail, by the last part of their path.
    pub turns_red: &'static [&'static str],
}

/// All of them, in the order of a job's life.
pub fn all() -> impl Iterator<Item = &'static Mechanism> {
    const TOPICS: &[&[Mechanism]] = &[
        spawn::ROWS,
        waking::ROWS,
        held::ROWS,
        lease::ROWS,
        claim::ROWS,
        marks::ROWS,
        turns::ROWS,
        fence::ROWS,
        attempts::ROWS,
        cancel::ROWS,
        upkeep::ROWS,
    ];
    TOPICS.iter().copied().flatten()
}
