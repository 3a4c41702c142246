//! The database that is not there, or not ready.

use super::program::{CONTEXT, RUN, USE, WAIT};
use crate::mistakes::mistake::{End, Mistake};

pub const MISTAKES: &[Mistake] = &[
    Mistake {
        title: "The schema is not installed",
        changes: &[("    sqlxmq::migrate(&pool).await?;\n", "")],
        end: End::Exits,
        tells: &["run `sqlxmq::migrate(&pool)`"],
        when: "start",
        verdict: "yes",
    },
    Mistake {
        title: "The schema is not installed, and the program only spawns",
        changes: &[
            ("    sqlxmq::migrate(&pool).await?;\n", ""),
            ("    let mut registry = registry();\n", ""),
            (USE, "use sqlxmq::{Json, job};\n"),
            (CONTEXT, ""),
            (RUN, ""),
            (WAIT, ""),
        ],
        end: End::Exits,
        tells: &["run `sqlxmq::migrate(&pool)`"],
        when: "spawn",
        verdict: "yes",
    },
    Mistake {
        title: "DATABASE_URL names no database",
        changes: &[],
        end: End::ExitsWithoutDatabase("nothing"),
        tells: &["does not exist"],
        when: "start, by sqlx",
        verdict: "yes",
    },
    Mistake {
        title: "DATABASE_URL leads to no server",
        changes: &[],
        end: End::ExitsWithout("postgres://localhost:1/app"),
        tells: &["PoolTimedOut"],
        when: "start, by sqlx, which tries for 30 s",
        verdict: "hardly: nothing listens there. `RunError::Connect` of a runner would have said so at once",
    },
];
