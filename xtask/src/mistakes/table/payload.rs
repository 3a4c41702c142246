//! The payload.

use super::program::SPAWN;
use crate::mistakes::mistake::{End, Mistake};

pub const MISTAKES: &[Mistake] = &[
    Mistake {
        title: "The payload is of another type",
        changes: &[(SPAWN, "    send_welcome.builder(&1).spawn(&pool).await?;\n")],
        end: End::DoesNotCompile,
        tells: &["expected `&Welcome`, found `&{integer}`"],
        when: "compile",
        verdict: "yes",
    },
    Mistake {
        title: "The payload is missing",
        changes: &[(SPAWN, "    send_welcome.builder().spawn(&pool).await?;\n")],
        end: End::DoesNotCompile,
        tells: &["argument #1 of type `&Welcome` is missing"],
        when: "compile",
        verdict: "yes",
    },
    Mistake {
        title: "Somebody else spawns another payload",
        changes: &[(
            SPAWN,
            "    sqlx::query(\"select mq_spawn('app::send_welcome', payload => '5', channel_name => 'mail')\").execute(&pool).await?;\n",
        )],
        end: End::Says("the payload is no"),
        tells: &["the payload is no `app::Welcome`", "expected struct Welcome"],
        when: "run; the job is dead at once",
        verdict: "yes",
    },
];
