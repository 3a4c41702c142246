//! When a job exists, what happens once and what may happen twice.
//!
//! # Spawn in the transaction that gives rise to the job
//!
//! ```
//! use sqlxmq::{Json, job};
//!
//! #[job]
//! async fn send_welcome(Json(user): Json<i64>) {
//!     println!("to user {user}");
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let db = devpg::TestDb::create(sqlxmq::migrator()).await;
//! # let pool = db.pool();
//! # sqlx::query("create table users (id bigint generated always as identity, email text)").execute(pool).await?;
//! let mut tx = pool.begin().await?;
//! let user: i64 = sqlx::query_scalar("insert into users (email) values ($1) returning id")
//!     .bind("ada@example.org")
//!     .fetch_one(&mut *tx)
//!     .await?;
//! let id = send_welcome.builder(&user).spawn(&mut *tx).await?;
//! assert!(!sqlxmq::exists(pool, id).await?);
//! tx.commit().await?;
//! assert!(sqlxmq::exists(pool, id).await?);
//! # Ok(())
//! # }
//! ```
//!
//! The job exists if and only if the transaction commits ([G1](super::guarantees#g1)). So there is no user without a letter, no letter for a user that was
//! rolled back, and no runner that looks for a row which is not committed yet: the three faults of a queue beside the database.
//!
//! A spawn that is refused (a name that is too long, an id that is taken) leaves the transaction usable ([G15](super::guarantees#g15)). Give the job
//! an id, `builder_with_id`, to find out later whether it was stored.
//!
//! # At least once
//!
//! A job is run again if its attempt fails, or if its runner dies or loses the database for longer than its lease ([G2](super::guarantees#g2), [G4](super::guarantees#g4)). What
//! the first attempt did outside of the database, a letter, a call, is then done twice. Make it idempotent: [`CurrentJob::id`](crate::CurrentJob::id) is the same in
//! each attempt, and a good idempotency key for whoever you call.
//!
//! # Exactly once
//!
//! Effects in the same database happen exactly once if they are committed together with the end of the job:
//!
//! ```
//! use sqlxmq::{CompleteError, CurrentJob, Json, job};
//!
//! #[job]
//! async fn pay_out(Json(account): Json<i64>, job: &mut CurrentJob) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//!     let mut tx = job.pool().begin().await?;
//!     sqlx::query("update accounts set balance = balance + 5 where id = $1")
//!         .bind(account)
//!         .execute(&mut *tx)
//!         .await?;
//!     job.complete_with_transaction(tx).await?;
//!     Ok(())
//! }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let db = devpg::TestDb::create(sqlxmq::migrator()).await;
//! # let pool = db.pool();
//! # sqlx::raw_sql("create table accounts (id bigint, balance bigint); insert into accounts values (1, 0)").execute(pool).await?;
//! # let id = pay_out.builder(&1).spawn(pool).await?;
//! # sqlxmq::JobRegistry::new(&[pay_out]).runner(pool).test_one().await?;
//! # let balance: i64 = sqlx::query_scalar("select balance from accounts").fetch_one(pool).await?;
//! # assert_eq!((balance, sqlxmq::exists(pool, id).await?), (5, false));
//! # Ok(())
//! # }
//! ```
//!
//! Each claim of a job has a token that is never used twice, and the completion names it. A process that was paused, presumed dead
//! and came back gets [`CompleteError::LeaseLost`](crate::CompleteError::LeaseLost), and its transaction is rolled back ([G3](super::guarantees#g3)). Pass such errors on with `?`: the runner
//! knows what they mean.
//!
//! Three ways to lose it again:
//!
//! - To commit the transaction yourself, and complete the job after that.
//! - To use `job.pool()` for a statement in between: what does not go through `tx` is not in it.
//! - To call somebody from inside of the transaction: a rollback does not call back.
//!
//! Code that mixes both calls first, under an idempotency key, and then commits what came of it with the job.
//!
//! # A transaction as an argument
//!
//! A function whose effects are all in the database says the same with less. [`JobTx`](crate::JobTx) is begun for the attempt, and
//! committed together with the end of the job when the function returns Ok; anything else rolls it back ([G3](super::guarantees#g3)):
//!
//! ```
//! use sqlxmq::{JobTx, Json, job};
//!
//! #[job]
//! async fn pay_out(Json(account): Json<i64>, tx: &mut JobTx) -> Result<(), sqlx::Error> {
//!     sqlx::query("update accounts set balance = balance + 5 where id = $1")
//!         .bind(account)
//!         .execute(&mut **tx)
//!         .await?;
//!     Ok(())
//! }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let db = devpg::TestDb::create(sqlxmq::migrator()).await;
//! # let pool = db.pool();
//! # sqlx::raw_sql("create table accounts (id bigint, balance bigint); insert into accounts values (1, 0)").execute(pool).await?;
//! # let id = pay_out.builder(&1).spawn(pool).await?;
//! # sqlxmq::JobRegistry::new(&[pay_out]).runner(pool).test_one().await?;
//! # let balance: i64 = sqlx::query_scalar("select balance from accounts").fetch_one(pool).await?;
//! # assert_eq!((balance, sqlxmq::exists(pool, id).await?), (5, false));
//! # Ok(())
//! # }
//! ```
//!
//! `tx` is a reference, so sqlx wants `&mut **tx` where a transaction of your own would be `&mut *tx`; so does `.spawn(&mut **tx)` of the next
//! job. A function that takes a `&mut PgConnection` is given `tx` as it is. [`JobTx`](crate::JobTx) lists them all.
//!
//! It holds a connection of your pool while the function runs: call the outside world before, not in between.
//!
//! # Checkpoints
//!
//! A long job saves how far it has come. The checkpoint becomes the payload of the next attempt, in the same commit as the effects
//! so far, and is fenced like a completion ([G3](super::guarantees#g3)):
//!
//! ```
//! use sqlxmq::{Checkpoint, CurrentJob, Json, job};
//!
//! #[job(retries = 10)]
//! async fn import(Json(first): Json<u32>, job: &mut CurrentJob) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//!     for page in first..6 {
//!         let mut tx = job.pool().begin().await?;
//!         sqlx::query("insert into pages (page) values ($1)").bind(i64::from(page)).execute(&mut *tx).await?;
//!         let mut checkpoint = Checkpoint::new();
//!         checkpoint.set_json(&(page + 1))?;
//!         job.checkpoint_with_transaction(tx, &checkpoint).await?;
//!     }
//!     Ok(())
//! }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let db = devpg::TestDb::create(sqlxmq::migrator()).await;
//! # let pool = db.pool();
//! # sqlx::query("create table pages (page bigint primary key)").execute(pool).await?;
//! # import.builder(&0).spawn(pool).await?;
//! # sqlxmq::JobRegistry::new(&[import]).runner(pool).test_one().await?;
//! # let pages: i64 = sqlx::query_scalar("select count(*) from pages").fetch_one(pool).await?;
//! # assert_eq!(pages, 6);
//! # Ok(())
//! # }
//! ```
//!
//! Attempts are still counted: a checkpoint gives none back unless [`Checkpoint::set_extra_retries`](crate::Checkpoint::set_extra_retries) says so.
//!
//! # Two phases
//!
//! Where two systems must agree, reserve the job first and commit it later. It keeps its place in the order meanwhile, and is removed
//! if nobody commits it in time; a commit that comes too late says so ([G9](super::guarantees#g9)):
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let db = devpg::TestDb::create(sqlxmq::migrator()).await;
//! # let pool = db.pool();
//! use std::time::Duration;
//! use sqlxmq::{CommitError, commit, job};
//!
//! #[job]
//! async fn ship() {}
//!
//! let id = ship
//!     .builder()
//!     .set_commit_interval(Some(Duration::from_secs(600)))
//!     .spawn(pool)
//!     .await?;
//! // .. the other system says yes ..
//! match commit(pool, &[id]).await {
//!     Ok(()) => {}
//!     Err(CommitError::Expired { missing, .. }) => println!("too late for {missing:?}"),
//!     Err(error) => return Err(error.into()),
//! }
//! # assert!(sqlxmq::exists(pool, id).await?);
//! # Ok(())
//! # }
//! ```
