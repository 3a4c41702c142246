//! Spawning.

use super::program::SPAWN;
use crate::mistakes::mistake::{End, Mistake};
use std::time::Duration;

pub const MISTAKES: &[Mistake] = &[
    Mistake {
        title: "The transaction is passed as it is",
        changes: &[(
            SPAWN,
            "    let mut tx = pool.begin().await?;\n    send_welcome.builder(&Welcome { user: 1 }).spawn(&mut tx).await?;\n    tx.commit().await?;\n",
        )],
        end: End::DoesNotCompile,
        tells: &["write `&mut *tx` for a transaction"],
        when: "compile",
        verdict: "yes",
    },
    Mistake {
        title: "The job is spawned outside of the transaction",
        changes: &[(
            SPAWN,
            "    let tx = pool.begin().await?;\n    send_welcome.builder(&Welcome { user: 1 }).spawn(&pool).await?;\n    tx.rollback().await?;\n",
        )],
        end: End::Says("from us to user 1"),
        tells: &[],
        when: "not at all: the job of what was rolled back runs",
        verdict: "no; a test with `refute_spawned!` does",
    },
    Mistake {
        title: "The transaction is not committed",
        changes: &[(
            SPAWN,
            "    let mut tx = pool.begin().await?;\n    send_welcome.builder(&Welcome { user: 1 }).spawn(&mut *tx).await?;\n    drop(tx);\n",
        )],
        end: End::SaysNothingFor(Duration::from_secs(3)),
        tells: &[],
        when: "not at all: there is no job",
        verdict: "no; a test with `assert_spawned!` does",
    },
    Mistake {
        title: "The builder is not spawned",
        changes: &[(SPAWN, "    send_welcome.builder(&Welcome { user: 1 });\n")],
        end: End::SaysNothingFor(Duration::from_secs(3)),
        tells: &["a builder stores nothing: `.spawn(&pool).await?` does"],
        when: "compile",
        verdict: "yes",
    },
];
