//! What is measured, and what it is to show. Sizes are those of a full run; a quick one scales them down.

mod drain;
mod flat;
mod idle;
mod payload;
mod pin;
mod spawn;
mod wait;
mod words;

use super::case::Scenario;

/// All, in the order in which they are run.
pub fn all() -> Vec<Scenario> {
    vec![
        drain::drains(),
        drain::completions(),
        spawn::spawns(),
        spawn::bulk(),
        wait::latencies(),
        wait::load(),
        flat::backlogs(),
        flat::channels(),
        flat::beside(),
        drain::processes(),
        flat::ordered(),
        pin::pin(
            "pin",
            "produce and consume, with and without a transaction that pins xmin",
            None,
        ),
        pin::pin("pin-long", "the same for ten minutes", Some(600)),
        pin::pinned_drain(),
        payload::payloads(),
        wait::big(),
        idle::idles(),
    ]
}
