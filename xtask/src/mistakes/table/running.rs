//! The runner, and the job while it runs.

use super::program::{BODY, FUNCTION, RUN, USE, WAIT};
use crate::mistakes::mistake::{End, Mistake};
use std::time::Duration;

pub const MISTAKES: &[Mistake] = &[
    Mistake {
        title: "The runner is dropped at once",
        changes: &[
            (RUN, "    registry.runner(&pool).run().await?;\n"),
            (WAIT, "    std::future::pending::<()>().await;\n"),
        ],
        end: End::SaysNothingFor(Duration::from_secs(3)),
        tells: &["the runner stops when its handle is dropped"],
        when: "compile",
        verdict: "yes",
    },
    Mistake {
        title: "The job is owned and not completed",
        changes: &[
            (USE, "use sqlxmq::{CurrentJob, Json, job, registry};\n"),
            (
                FUNCTION,
                "async fn send_welcome(_job: CurrentJob, Json(welcome): Json<Welcome>, sender: &'static str) -> Result<(), Box<dyn Error + Send + Sync>> {\n",
            ),
        ],
        end: End::Says("the job was dropped"),
        tells: &["call its `complete`, or take it as `&mut CurrentJob`"],
        when: "run; the attempt fails",
        verdict: "yes",
    },
    Mistake {
        title: "The job is completed twice",
        changes: &[
            (USE, "use sqlxmq::{CurrentJob, Json, job, registry};\n"),
            (
                FUNCTION,
                "async fn send_welcome(mut job: CurrentJob, Json(welcome): Json<Welcome>, sender: &'static str) -> Result<(), Box<dyn Error + Send + Sync>> {\n",
            ),
            (
                BODY,
                "    println!(\"from {sender} to user {}\", welcome.user);\n    job.complete().await?;\n    job.complete().await?;\n",
            ),
        ],
        end: End::Says("was completed already"),
        tells: &["was completed already"],
        when: "run; the job is done all the same",
        verdict: "yes",
    },
    Mistake {
        title: "The function blocks its thread",
        changes: &[(
            BODY,
            "    std::thread::sleep(std::time::Duration::from_secs(2));\n    println!(\"from {sender} to user {}\", welcome.user);\n",
        )],
        end: End::Says("held its thread"),
        tells: &["move blocking work into `tokio::task::spawn_blocking`"],
        when: "run, after a second",
        verdict: "yes",
    },
];
