//! The attribute, and the registry that it fills.

use super::program::{ATTRIBUTE, FUNCTION, SPAWN, USE};
use crate::mistakes::mistake::{End, Mistake};

pub const MISTAKES: &[Mistake] = &[
    Mistake {
        title: "Two jobs have one name",
        changes: &[(
            "#[tokio::main]",
            "#[job(\"app::send_welcome\")]\nasync fn another() {}\n\n#[tokio::main]",
        )],
        end: End::Exits,
        tells: &["two jobs are named `app::send_welcome`: give one of them another name"],
        when: "start",
        verdict: "yes",
    },
    Mistake {
        title: "`#[job]` is forgotten",
        changes: &[(USE, "use sqlxmq::{Json, registry};\n"), (ATTRIBUTE, "")],
        end: End::DoesNotCompile,
        tells: &["no method named `builder` found for fn item"],
        when: "compile",
        verdict: "almost: it is taken for a function",
    },
    Mistake {
        title: "The crate of the jobs is not named: the registry is empty",
        changes: &[
            ("use serde::{Deserialize, Serialize};\n", ""),
            (USE, "use sqlxmq::registry;\n"),
            (
                "#[derive(Serialize, Deserialize)]\nstruct Welcome {\n    user: i64,\n}\n\n",
                "",
            ),
            (ATTRIBUTE, ""),
            (FUNCTION, ""),
            (
                "    println!(\"from {sender} to user {}\", welcome.user);\n    Ok(())\n}\n",
                "",
            ),
            (SPAWN, ""),
        ],
        end: End::Exits,
        tells: &["a crate that is never named in code is not linked: `use my_jobs as _;`"],
        when: "start",
        verdict: "yes",
    },
    Mistake {
        title: "The argument of the attribute is unknown",
        changes: &[(ATTRIBUTE, "#[job(channel_name = \"mail\", retry = 7)]\n")],
        end: End::DoesNotCompile,
        tells: &["unknown key `retry`; `#[job]` takes"],
        when: "compile",
        verdict: "yes",
    },
    Mistake {
        title: "The duration is no duration",
        changes: &[(
            ATTRIBUTE,
            "#[job(channel_name = \"mail\", backoff = \"2 fortnights\")]\n",
        )],
        end: End::DoesNotCompile,
        tells: &["1h 30m"],
        when: "compile",
        verdict: "yes",
    },
    Mistake {
        title: "The error type is no error",
        changes: &[
            (
                ATTRIBUTE,
                "struct Failed;\n\n#[job(channel_name = \"mail\", retries = 7)]\n",
            ),
            (
                FUNCTION,
                "async fn send_welcome(Json(welcome): Json<Welcome>, sender: &'static str) -> Result<(), Failed> {\n",
            ),
        ],
        end: End::DoesNotCompile,
        tells: &[
            "a job cannot return `Result<(), Failed>`",
            "`E` is any error that converts into `Box<dyn Error + Send + Sync>`",
        ],
        when: "compile",
        verdict: "yes",
    },
];
