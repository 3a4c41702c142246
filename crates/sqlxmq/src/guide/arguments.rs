//! What a job's function can be given: payload, context, and what is made from the job.
//!
//! Arguments are told apart by their types. Their order is yours.
//!
//! | argument | is |
//! |---|---|
//! | `Json(payload): Json<T>` | the JSON payload |
//! | `Bytes(payload): Bytes` | the binary payload; a job may have both |
//! | `job: &mut CurrentJob`, `job: &CurrentJob` | the job, lent. The runner completes it |
//! | `job: CurrentJob` | the job, given away. The function completes it |
//! | `tx: &mut JobTx` | a [transaction](super::transactions#a-transaction-as-an-argument), committed with the end of the job |
//! | a type that is [`FromJob`](crate::FromJob) | made from the job for each attempt |
//! | anything else | context |
//!
//! # The payload
//!
//! [`Json<T>`](crate::Json) takes any type that serde can write and read. It is stored as text and comes back byte for byte ([G16](super::guarantees#g16)), up to 1 MiB unless
//! [`set_payload_limit`](crate::JobBuilder::set_payload_limit) says more. A job whose payload is missing, or is no `T`, is [dead](super::failures#dead-jobs) at once: the next attempt
//! would read the same bytes.
//!
//! Put keys into it rather than rows: when the job runs, the row may have changed. A larger thing goes into a table or an object
//! store, with its key in the payload.
//!
//! The macro knows the payload by the names `Json` and `Bytes`. In a module that uses axum's `Json` as well, import ours and write
//! `axum::Json` out.
//!
//! # Who completes the job
//!
//! ```
//! use sqlxmq::{CompleteError, CurrentJob, job};
//!
//! // The runner, when this returns Ok.
//! #[job]
//! async fn lent(job: &mut CurrentJob) {
//!     println!("attempt {} of {}", job.attempt(), job.max_attempts());
//! }
//!
//! // The function. A job that is dropped without that has failed.
//! #[job]
//! async fn owned(mut job: CurrentJob) -> Result<(), CompleteError> {
//!     job.complete().await
//! }
//! ```
//!
//! Take it by value to go on after the job is completed, or to move it into another task. A lent job can be completed
//! early as well, in a [transaction](super::transactions), say; the runner notices.
//!
//! # Context
//!
//! What all jobs share, a mailer, a client, the configuration, is given to the registry and found by its type:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let db = devpg::TestDb::create(sqlxmq::migrator()).await;
//! # let pool = db.pool();
//! use std::sync::Arc;
//! use sqlxmq::{JobRegistry, job};
//!
//! struct Settings {
//!     sender: String,
//! }
//!
//! #[job]
//! async fn remind(settings: Arc<Settings>) {
//!     println!("from {}", settings.sender);
//! }
//!
//! let mut registry = JobRegistry::new(&[remind]);
//! registry.set_context(Arc::new(Settings { sender: "us".to_owned() }));
//! # remind.builder().spawn(pool).await?;
//! # registry.runner(pool).test_one().await?;
//! # assert!(sqlxmq::dead_jobs(pool, 1, None).await?.is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! Context is `Clone + Send + Sync + 'static`, and each attempt gets a clone: share what is large in an `Arc`. One value for each
//! type: two of one type are two newtypes. Context that is missing is an error from [`run`](crate::JobRunnerOptions::run), which names the job and the
//! type, not a panic at night. The pool is no context: `job.pool()` has it.
//!
//! # Made from the job
//!
//! A type that implements [`FromJob`](crate::FromJob) is made for each attempt, before the function is called. It may read the job, ask the
//! database, and use context:
//!
//! ```
//! use sqlxmq::{BoxError, FromJob, JobInput, job, permanent};
//!
//! /// The tenant whose job it is: the channel's arguments say.
//! struct Tenant(u64);
//!
//! impl FromJob for Tenant {
//!     type Error = BoxError;
//!
//!     async fn from_job(input: &JobInput<'_>) -> Result<Self, BoxError> {
//!         // Another attempt would not make a number of it.
//!         Ok(Self(input.job().channel_args().parse().map_err(permanent)?))
//!     }
//! }
//!
//! #[job(channel_name = "invoices")]
//! async fn send_invoices(Tenant(tenant): Tenant) {
//!     println!("for tenant {tenant}");
//! }
//! ```
//!
//! If it asks for context itself, [`FromJob::needs`](crate::FromJob::needs) says which, and a runner without it does not start:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let db = devpg::TestDb::create(sqlxmq::migrator()).await;
//! # let pool = db.pool();
//! use std::{collections::HashMap, sync::Arc};
//! use sqlxmq::{BoxError, ContextNeeds, FromJob, JobInput, JobRegistry, job};
//!
//! type Addresses = Arc<HashMap<String, String>>;
//!
//! /// Where the tenant's invoices go.
//! struct Address(String);
//!
//! impl FromJob for Address {
//!     type Error = BoxError;
//!
//!     async fn from_job(input: &JobInput<'_>) -> Result<Self, BoxError> {
//!         let addresses: Addresses = input.context();
//!         let address = addresses.get(input.job().channel_args()).ok_or("the tenant has no address")?;
//!         Ok(Self(address.clone()))
//!     }
//!
//!     fn needs(needs: &mut ContextNeeds<'_>) {
//!         needs.context::<Addresses>();
//!     }
//! }
//!
//! #[job]
//! async fn invoice(Address(address): Address) {
//!     println!("to {address}");
//! }
//!
//! let refused = JobRegistry::new(&[invoice]).runner(pool).run().await;
//! assert!(refused.is_err_and(|error| format!("{error:?}").contains("HashMap")));
//!
//! let mut registry = JobRegistry::new(&[invoice]);
//! registry.set_context(Addresses::new([("7".to_owned(), "ada@example.org".to_owned())].into()));
//! # invoice.builder().set_channel_args("7").spawn(pool).await?;
//! # registry.runner(pool).test_one().await?;
//! # assert!(sqlxmq::dead_jobs(pool, 1, None).await?.is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! # Around every job
//!
//! A layer is an async function around each attempt at each job of the registry: for metrics, authorisation, a value that all jobs of a tenant
//! are to have. The first one that is added is the outermost.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let db = devpg::TestDb::create(sqlxmq::migrator()).await;
//! # let pool = db.pool();
//! use std::time::Instant;
//! use sqlxmq::{BoxError, CurrentJob, JobEnd, JobRegistry, Next, job, permanent};
//!
//! async fn timed(job: CurrentJob, next: Next) -> JobEnd {
//!     let (name, started) = (job.name().to_owned(), Instant::now());
//!     let end = next.run(job).await;
//!     println!("{name} took {:?}", started.elapsed());
//!     end
//! }
//!
//! #[derive(Clone)]
//! struct Tenant(u64);
//!
//! async fn of_a_tenant(mut job: CurrentJob, next: Next) -> Result<JobEnd, BoxError> {
//!     let tenant = Tenant(job.channel_args().parse().map_err(permanent)?);
//!     job.set_context(tenant);
//!     Ok(next.run(job).await)
//! }
//!
//! #[job]
//! async fn bill(Tenant(tenant): Tenant) {
//!     println!("tenant {tenant}");
//! }
//!
//! let mut registry = JobRegistry::new(&[bill]);
//! registry.add_layer(timed).add_layer(of_a_tenant).promise_context::<Tenant>();
//! # bill.builder().set_channel_args("7").spawn(pool).await?;
//! # registry.runner(pool).test_one().await?;
//! # assert!(sqlxmq::dead_jobs(pool, 1, None).await?.is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! A layer may end the attempt itself, by an error or a [`JobEnd`](crate::JobEnd) of its own, and sees panics and timeouts as ends like others.
//! The runner completes a job that was lent after all layers have returned, so done means about to be completed there.
//!
//! [`promise_context::<Tenant>()`](crate::JobRegistry::promise_context) says that layers provide a `Tenant`. A runner refuses to start otherwise, for
//! nobody has given one to `set_context`.
//!
//! A layer that keeps something is a closure. It is called for each attempt, many at a time, so each call clones what it uses, before
//! `async move` takes the clone away:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let db = devpg::TestDb::create(sqlxmq::migrator()).await;
//! # let pool = db.pool();
//! use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
//! use sqlxmq::{CurrentJob, JobRegistry, Next, job};
//!
//! #[job]
//! async fn work() {}
//!
//! let failures = Arc::new(AtomicU64::new(0));
//! let counter = Arc::clone(&failures);
//! let mut registry = JobRegistry::new(&[work]);
//! registry.add_layer(move |job: CurrentJob, next: Next| {
//!     let counter = Arc::clone(&counter);
//!     async move {
//!         let end = next.run(job).await;
//!         if end.error().is_some() {
//!             counter.fetch_add(1, Ordering::Relaxed);
//!         }
//!         end
//!     }
//! });
//! # work.builder().spawn(pool).await?;
//! # registry.runner(pool).test_one().await?;
//! # assert_eq!(failures.load(Ordering::Relaxed), 0);
//! # Ok(())
//! # }
//! ```
