//! Changing a payload, a name or a schema while jobs are queued.
//!
//! Jobs outlive the program that spawned them. What is stored is a name and a payload; the rest is the program's and changes with it.
//!
//! # A payload that grows
//!
//! What serde can read from the old JSON needs nothing: a new field with `#[serde(default)]`, an `Option`. Other programs may still
//! write the old form for a while, and read the new one: do not set `deny_unknown_fields`.
//!
//! # A payload that changes
//!
//! Otherwise give the payload a version, and say how the old one becomes the new one:
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use sqlxmq::{Json, job};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Charge {
//!     cents: u32,
//!     currency: String,
//! }
//!
//! // Version 1 was the cents alone.
//! fn from_v1(cents: u32) -> Charge {
//!     Charge { cents, currency: "EUR".to_owned() }
//! }
//!
//! #[job("charge", version = 2, upgrade = from_v1)]
//! async fn charge(Json(payload): Json<Charge>) {
//!     assert_eq!((payload.cents, &*payload.currency), (250, "EUR"));
//! }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let db = devpg::TestDb::create(sqlxmq::migrator()).await;
//! # let pool = db.pool();
//! # let mut builder = sqlxmq::JobBuilder::new("charge");
//! # let id = builder.set_raw_json("250").spawn(pool).await?;
//! # sqlxmq::JobRegistry::new(&[charge]).runner(pool).test_one().await?;
//! # assert!(!sqlxmq::exists(pool, id).await?);
//! # Ok(())
//! # }
//! ```
//!
//! - Queued jobs of version 1 are upgraded when they are claimed. An upgrade may return a `Result`; an error makes the job [dead](super::failures#dead-jobs).
//!   Without `upgrade`, queued jobs of the older version are dead.
//! - **In a rolling deploy** the programs of yesterday leave jobs of version 2 alone, those of today run both ([G11](super::guarantees#g11)).
//! - With version 3 the chain is `upgrade(from_v1, from_v2)`. Take the oldest out when the queue has no more of them; a job that comes
//!   all the same is dead with that reason.
//!
//! The version is part of the name that is stored, `charge@v2`: [payloads.md](https://github.com/Diggsey/sqlxmq/blob/main/docs/design/payloads.md) tells why. So
//! [`CurrentJob::name`](crate::CurrentJob::name), error handlers, dead jobs, metrics and `mq_spawn` have that name, while
//! [`charge.name()`](crate::NamedJob::name) stays `charge`. Code that tells jobs apart by their name asks the registry,
//! [`resolve_job`](crate::JobRegistry::resolve_job), or cuts it at the `@`.
//!
//! # A function that moves
//!
//! The default name is the function's path, `my_app::billing::charge`. Before you move or rename the function, name it as it is stored:
//! `#[job("my_app::billing::charge")]`. A job whose name nobody knows stays in the queue, and is run when somebody does.
//!
//! To **remove** a job kind, stop spawning it, wait until [`counts`](crate::counts) or the dead have none of it, and remove the function then.
//!
//! # Defaults that change
//!
//! `timeout`, `lease` and `backoff = linear` are the program's: a change applies to jobs that are queued. Everything else (retries, backoff,
//! channel, order) is stored with the job when it is spawned.
//!
//! # The queue's own schema
//!
//! [`migrate`](crate::migrate()) at the start of the new program. Programs of the version before go on working with the newer schema, so a rolling deploy needs no pause.
