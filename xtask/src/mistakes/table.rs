//! The mistakes.

use std::fmt::Write;
use std::time::Duration;

/// A mistake.
pub struct Mistake {
    pub title: &'static str,
    /// What of the program is replaced by what.
    pub changes: &'static [(&'static str, &'static str)],
    pub end: End,
    /// What its author must get to see.
    pub tells: &'static [&'static str],
    /// When it is noticed.
    pub when: &'static str,
    /// Whether that tells the fix, as read by a person.
    pub verdict: &'static str,
}

/// How the program ends.
#[derive(PartialEq)]
pub enum End {
    DoesNotCompile,
    Exits,
    /// Likewise, with this address of a database.
    ExitsWithout(&'static str),
    /// Likewise, with this name of a database that is not there.
    ExitsWithoutDatabase(&'static str),
    /// It says this, and is told to end.
    Says(&'static str),
    /// It says nothing about it, for so long at least.
    SaysNothingFor(Duration),
}

impl Mistake {
    /// The changes as a reviewer sees them.
    pub fn difference(&self) -> String {
        let mut text = String::new();
        if let End::ExitsWithout(url) = self.end {
            let _ = writeln!(text, "+DATABASE_URL={url}");
        }
        if let End::ExitsWithoutDatabase(name) = self.end {
            let _ = writeln!(text, "+DATABASE_URL=postgres://localhost/{name}");
        }
        for (old, new) in self.changes {
            let lines = |text: &'static str| text.trim_end_matches('\n').lines();
            let common: Vec<&str> = lines(old)
                .filter(|line| lines(new).any(|other| other == *line))
                .collect();
            for (sign, side) in [('-', old), ('+', new)] {
                for line in lines(side).filter(|line| !common.contains(line)) {
                    let _ = writeln!(text, "{sign}{line}");
                }
            }
        }
        text
    }
}

pub const HEAD: &str = "
# Mistakes, and what is said about them

A newcomer's program, the first one of the guide, with a typical mistake made in each of these. The output is real: `cargo xtask mistakes` makes
them one after the other, builds and runs the program, and writes this page; `--check` is a step of `cargo xtask ci --full`. Paths, times and ids are left
out. The column *tells the fix* was read by a person. Where it says *no*, nobody in the program can know that it is a mistake.

What came of reading it: errors of `migrate`, `run` and `spawn` show their text under `{:?}`, which is how `main` and `unwrap` print them; a runner's
handle and a builder that are dropped at once are warnings; a job that holds its thread is told of; a dropped job says what to call; a missing `&str` asks for the
`String`; a transaction that is passed as it is is told `&mut *tx`; and the guide's program has a subscriber for `tracing`, without which a job fails in silence.

| | mistake | noticed | tells the fix |
|---|---|---|---|";

const SPAWN: &str = "    send_welcome.builder(&Welcome { user: 1 }).spawn(&pool).await?;\n";
const ATTRIBUTE: &str = "#[job(channel_name = \"mail\", retries = 7)]\n";
const FUNCTION: &str = "async fn send_welcome(Json(welcome): Json<Welcome>, sender: &'static str) -> Result<(), Box<dyn Error + Send + Sync>> {\n";
const BODY: &str = "    println!(\"from {sender} to user {}\", welcome.user);\n";
const USE: &str = "use sqlxmq::{Json, job, registry};\n";
const CONTEXT: &str = "    registry.set_context(\"us\");\n";
const RUN: &str = "    let runner = registry.runner(&pool).run().await?;\n";
const WAIT: &str = "    runner.shutdown_on_signal().await?;\n";

pub const MISTAKES: &[Mistake] = &[
    Mistake {
        title: "The context is forgotten",
        changes: &[
            (
                "    let mut registry = registry();\n",
                "    let registry = registry();\n",
            ),
            (CONTEXT, ""),
        ],
        end: End::Exits,
        tells: &["job `app::send_welcome` needs a context of type `&str`, which `set_context` was not given"],
        when: "start",
        verdict: "yes",
    },
    Mistake {
        title: "The context is of another type",
        changes: &[(CONTEXT, "    registry.set_context(String::from(\"us\"));\n")],
        end: End::Exits,
        tells: &["take `String` if a `String` was given"],
        when: "start",
        verdict: "yes",
    },
    Mistake {
        title: "The context is a reference that is not `'static`",
        changes: &[
            (
                FUNCTION,
                "async fn send_welcome(Json(welcome): Json<Welcome>, sender: &String) -> Result<(), Box<dyn Error + Send + Sync>> {\n",
            ),
            (CONTEXT, "    registry.set_context(String::from(\"us\"));\n"),
        ],
        end: End::Exits,
        tells: &["take `alloc::string::String` by value"],
        when: "start",
        verdict: "yes",
    },
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
    Mistake {
        title: "The function is not async",
        changes: &[(
            FUNCTION,
            "fn send_welcome(Json(welcome): Json<Welcome>, sender: &'static str) -> Result<(), Box<dyn Error + Send + Sync>> {\n",
        )],
        end: End::DoesNotCompile,
        tells: &["write `async fn`"],
        when: "compile",
        verdict: "yes",
    },
    Mistake {
        title: "The future is not `Send`",
        changes: &[(
            BODY,
            "    let user = std::rc::Rc::new(welcome.user);\n    tokio::task::yield_now().await;\n    println!(\"from {sender} to user {user}\");\n",
        )],
        end: End::DoesNotCompile,
        tells: &[
            "has type `Rc<i64>` which is not `Send`",
            "await occurs here, with `user` maybe used later",
        ],
        when: "compile",
        verdict: "yes: what is held across which await",
    },
    Mistake {
        title: "The function is generic",
        changes: &[(
            FUNCTION,
            "async fn send_welcome<S: ToString>(Json(welcome): Json<Welcome>, sender: S) -> Result<(), Box<dyn Error + Send + Sync>> {\n    let sender = sender.to_string();\n",
        )],
        end: End::DoesNotCompile,
        tells: &["a job cannot be generic"],
        when: "compile",
        verdict: "yes",
    },
    Mistake {
        title: "The function is a method",
        changes: &[
            (
                ATTRIBUTE,
                "struct Mailer(&'static str);\n\nimpl Mailer {\n#[job(channel_name = \"mail\", retries = 7)]\n",
            ),
            (
                FUNCTION,
                "async fn send_welcome(&self, Json(welcome): Json<Welcome>) -> Result<(), Box<dyn Error + Send + Sync>> {\n    let sender = self.0;\n",
            ),
            (
                "    Ok(())\n}\n\n#[tokio::main]",
                "    Ok(())\n}\n}\n\n#[tokio::main]",
            ),
        ],
        end: End::DoesNotCompile,
        tells: &["a job is a free function: move it out of the `impl`, and pass what it needs as context"],
        when: "compile",
        verdict: "yes",
    },
    Mistake {
        title: "`Json` is renamed",
        changes: &[
            (USE, "use sqlxmq::{Json as Payload, job, registry};\n"),
            (
                FUNCTION,
                "async fn send_welcome(Payload(welcome): Payload<Welcome>, sender: &'static str) -> Result<(), Box<dyn Error + Send + Sync>> {\n",
            ),
        ],
        end: End::DoesNotCompile,
        tells: &["a renamed import or an alias hides it from `#[job]`"],
        when: "compile",
        verdict: "yes",
    },
    Mistake {
        title: "A local has the name of a job",
        changes: &[
            (
                FUNCTION,
                "async fn send_welcome(Json(send_welcome): Json<Welcome>, sender: &'static str) -> Result<(), Box<dyn Error + Send + Sync>> {\n",
            ),
            (
                BODY,
                "    println!(\"from {sender} to user {}\", send_welcome.user);\n",
            ),
        ],
        end: End::DoesNotCompile,
        tells: &["error[E0530]: function parameters cannot shadow statics"],
        when: "compile",
        verdict: "yes, with the guide's first chapter",
    },
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
