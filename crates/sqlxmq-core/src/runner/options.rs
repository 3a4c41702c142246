//! What a runner claims, how many jobs it runs at a time, and how it connects. Starts it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;

use super::error::RunError;
use super::session::Target;
use super::settings::Settings;
use super::shared::Work;
use super::shutdown::JobRunnerHandle;
use super::supervise;
use super::suspicion::Suspicion;
use crate::config::MAX_DURATION;
use crate::job::CurrentJob;
use crate::registry::{ErrorHandler, JobRegistry};

/// Below this a lease could not be renewed in time over an ordinary network.
const MIN_LEASE: Duration = Duration::from_secs(1);

/// A poll interval that is shorter is a busy loop.
const MIN_POLL_INTERVAL: Duration = Duration::from_millis(1);

/// What a runner claims, how many jobs it runs at a time, and how it connects.
#[derive(Clone)]
pub struct JobRunnerOptions {
    pool: PgPool,
    source: Source,
    settings: Settings,
    connect_options: Option<PgConnectOptions>,
    direct_url: Option<String>,
    error_handler: Option<Arc<ErrorHandler>>,
}

#[derive(Clone)]
enum Source {
    Closure(Arc<dyn Fn(CurrentJob) + Send + Sync + 'static>),
    Registry(Arc<JobRegistry>),
}

impl JobRunnerOptions {
    /// Returns the options of a runner that calls `f` with every job, whatever its name.
    ///
    /// The closure is to move the job into a task of its own, or to complete it otherwise; a job that it drops has failed.
    /// It should not block.
    pub fn new<F: Fn(CurrentJob) + Send + Sync + 'static>(pool: &PgPool, f: F) -> Self {
        Self::with_source(pool, Source::Closure(Arc::new(f)))
    }

    /// Returns the options of a runner for the jobs of `registry`.
    pub(crate) fn from_registry(pool: &PgPool, registry: Arc<JobRegistry>) -> Self {
        Self::with_source(pool, Source::Registry(registry))
    }

    fn with_source(pool: &PgPool, source: Source) -> Self {
        Self {
            pool: pool.clone(),
            source,
            settings: Settings::default(),
            connect_options: None,
            direct_url: None,
            error_handler: None,
        }
    }

    /// Sets how many jobs run at a time: never more than `max_concurrency`, and the runner claims when fewer than `min_concurrency`
    /// run. Default: 16 and 32.
    ///
    /// The difference is the size of a claim: bigger ones cost less per job. While jobs are short, more are claimed than run: as
    /// many as ended within the last 8 ms, at most 500. What has not started after a tenth of a second goes back to the queue, no
    /// attempt used. `run` refuses a minimum of 0 or above the maximum.
    pub fn set_concurrency(&mut self, min_concurrency: usize, max_concurrency: usize) -> &mut Self {
        self.settings.min_concurrency = min_concurrency;
        self.settings.max_concurrency = max_concurrency;
        self
    }

    /// Sets the names of the channels whose jobs are run, whatever the channels' arguments. Default: all channels.
    pub fn set_channel_names<'a>(&'a mut self, channel_names: &[&str]) -> &'a mut Self {
        self.settings.channel_names = Some(channel_names.iter().map(|&name| name.to_owned()).collect());
        self
    }

    /// Sets whether jobs are kept alive as long as they run. Default: true.
    ///
    /// Without, each job has a lease of its own, as long as [`set_lease`](Self::set_lease) says, and is over with it unless it
    /// calls [`CurrentJob::keep_alive`].
    pub fn set_keep_alive(&mut self, keep_alive: bool) -> &mut Self {
        self.settings.keep_alive = keep_alive;
        self
    }

    /// Sets the lease: when a runner crashes, its jobs are tried again after this long. Default: 30 s. At least 1 s.
    ///
    /// It is renewed every third of its length. How long a job takes does not matter.
    pub fn set_lease(&mut self, lease: Duration) -> &mut Self {
        self.settings.lease = lease;
        self
    }

    /// Sets how often the database is asked for jobs when nothing is heard. Default: 1 s, give or take a tenth.
    pub fn set_poll_interval(&mut self, poll_interval: Duration) -> &mut Self {
        self.settings.poll_interval = poll_interval;
        self
    }

    /// Sets how long [`JobRunnerHandle::stop`] waits for running jobs. Default: 30 s.
    pub fn set_grace(&mut self, grace: Duration) -> &mut Self {
        self.settings.grace = grace;
        self
    }

    /// Sets whether the runner listens for new jobs. Default: true.
    ///
    /// Without, it polls, and needs nothing of a session: no LISTEN, no settings, no advisory locks. Choose this behind a
    /// pooler in transaction mode that has no direct URL beside it.
    pub fn set_listen(&mut self, listen: bool) -> &mut Self {
        self.settings.listen = listen;
        self
    }

    /// Sets where the runner's own connections go, in place of the pool's URL: past a pooler, to the database itself.
    /// Default: as the pool connects.
    pub fn set_direct_url(&mut self, url: &str) -> &mut Self {
        self.direct_url = Some(url.to_owned());
        self.connect_options = None;
        self
    }

    /// Sets how the runner's own connections are made. Default: as the pool's.
    ///
    /// What the pool's `after_connect` does is not done for them. If it sets the search path, say, to the schema of the queue,
    /// give that to the options as well: `options.options([("search_path", "jobs")])`.
    pub fn set_connect_options(&mut self, connect_options: PgConnectOptions) -> &mut Self {
        self.connect_options = Some(connect_options);
        self.direct_url = None;
        self
    }

    /// Sets how many bytes of payload one claim takes on, give or take one job. Default: 16 MiB.
    pub fn set_max_claim_bytes(&mut self, max_claim_bytes: usize) -> &mut Self {
        self.settings.max_claim_bytes = i64::try_from(max_claim_bytes).unwrap_or(i64::MAX);
        self
    }

    /// Sets whether the runner keeps the queue's tables small. Default: true.
    ///
    /// Rows of jobs that are gone stay in tables and indexes until a vacuum, and autovacuum may come once a minute only. So while it has
    /// jobs the runner looks at the statistics every 10 s, give or take a tenth, and one runner at a time, over a connection of its own
    /// that is opened for it (two while a vacuum takes more than two seconds),
    ///
    /// - vacuums tables that have 50,000 dead rows and more of them than live ones. If somebody waits for the table, for DDL, the vacuum gives way, as
    ///   autovacuum's do; after a minute it is given up. While an open transaction keeps the rows from being removed, it is tried less and less often;
    /// - rewrites (`CLUSTER`, by its primary key) a table of 64 MB or more that has become four times as large as what is in it could take, if that is
    ///   128 MB or less. **The queue stands still meanwhile**, spawns as well: behind an `ACCESS EXCLUSIVE` lock, for a fraction of a
    ///   second mostly, and for 2.6 s at most. If the lock is not there within 100 ms, or the rewrite is not done in time, that is for later,
    ///   with pauses that grow to 10 minutes; and no table is rewritten twice within ten minutes.
    ///
    /// Only the owner of the tables may do that, or from PostgreSQL 17 on who has `maintain` on them. With other roles the runner leaves
    /// it alone: let the owner call [`compact`](crate::compact()) every minute. So does one that does not
    /// [listen](Self::set_listen), behind a pooler.
    ///
    /// Switch it off where a rewrite does harm: a hot standby replays the lock, so queries there that read the queue are cancelled after
    /// `max_standby_streaming_delay`; an output plugin for logical decoding may stumble over rewritten tables; spawns have a
    /// `lock_timeout` of less than three seconds; or leases are shorter than ten.
    pub fn set_compaction(&mut self, compaction: bool) -> &mut Self {
        self.settings.compaction = compaction;
        self
    }

    /// Sets the function that is called with a job's name and its error: what its function returned, a [`JobPanicked`],
    /// [`JobDropped`], [`JobLeaseLost`] or [`UnknownJobError`]. Default: the registry's, or a `tracing` event.
    ///
    /// It runs on the runner's runtime, one call after the other, and should not block.
    ///
    /// [`JobPanicked`]: crate::JobPanicked
    /// [`JobDropped`]: crate::JobDropped
    /// [`JobLeaseLost`]: crate::JobLeaseLost
    /// [`UnknownJobError`]: crate::UnknownJobError
    pub fn set_error_handler(
        &mut self,
        error_handler: impl Fn(&str, Box<dyn std::error::Error + Send + 'static>) + Send + Sync + 'static,
    ) -> &mut Self {
        self.error_handler = Some(Arc::new(error_handler));
        self
    }

    /// Starts the runner in the background.
    ///
    /// It opens connections of its own, and goes on until the handle stops it or is dropped.
    ///
    /// # Errors
    ///
    /// Returns an error if the options contradict each other, the registry can't be run, the database can't be reached or the
    /// schema is missing: see [`RunError`].
    ///
    /// # Panics
    ///
    /// Panics outside of a Tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped before it returns, nothing runs.
    pub async fn run(&self) -> Result<JobRunnerHandle, RunError> {
        self.check()?;
        supervise::run(self).await
    }

    /// Runs one job to its end. For tests: the job should have been spawned and be ready.
    ///
    /// Returns when the job's outcome is stored. What the job returned goes to the error handler.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run), and if the claim fails.
    ///
    /// # Panics
    ///
    /// Panics if nothing is ready.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the job goes on in the background as after a dropped handle.
    pub async fn test_one(&self) -> Result<(), RunError> {
        self.check()?;
        supervise::run_one(self).await
    }

    /// Runs what is due, one job after the other, and at most `limit` attempts.
    #[cfg(feature = "testing")]
    pub(crate) async fn run_in_turn(&self, limit: usize) -> Result<Vec<crate::testing::Ran>, RunError> {
        self.check()?;
        supervise::run_in_turn(self, limit).await
    }

    fn check(&self) -> Result<(), RunError> {
        let Settings {
            min_concurrency: min,
            max_concurrency: max,
            ..
        } = self.settings;
        if min == 0 || min > max {
            return Err(RunError::Concurrency { min, max });
        }
        within_bounds("set_lease", self.settings.lease, MIN_LEASE)?;
        within_bounds(
            "set_poll_interval",
            self.settings.poll_interval,
            MIN_POLL_INTERVAL,
        )?;
        if self.settings.max_claim_bytes == 0 {
            return Err(RunError::NoBytes);
        }
        if self.settings.channel_names.as_ref().is_some_and(Vec::is_empty) {
            return Err(RunError::NoChannels);
        }
        let mut channel_names = self.settings.channel_names.iter().flatten();
        if let Some(name) = channel_names.find(|name| name.contains('\0')) {
            return Err(RunError::ChannelNameNul { name: name.clone() });
        }
        if let Source::Registry(registry) = &self.source {
            registry.check()?;
        }
        Ok(())
    }

    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn target(&self) -> Result<Target, RunError> {
        let options = match (&self.connect_options, &self.direct_url) {
            (Some(options), _) => options.clone(),
            (None, Some(url)) => url.parse().map_err(|source| RunError::DirectUrl { source })?,
            (None, None) => (*self.pool.connect_options()).clone(),
        };
        Ok(Target {
            options,
            keeps_sessions: self.settings.listen,
            suspicion: Suspicion::default(),
        })
    }

    pub(crate) fn work(&self) -> Work {
        match &self.source {
            Source::Closure(closure) => Work::Closure(Arc::clone(closure)),
            Source::Registry(registry) => Work::Registry {
                registry: Arc::clone(registry),
                jobs: Arc::new(registry.stored_names().collect()),
            },
        }
    }

    /// The names whose jobs are claimed. `None`: all.
    pub(crate) fn names(&self) -> Option<Vec<String>> {
        match &self.source {
            Source::Closure(_) => None,
            Source::Registry(registry) => {
                Some(registry.stored_names().map(|(name, _)| name.to_owned()).collect())
            }
        }
    }

    pub(crate) fn log_jobs(&self) {
        if let Source::Registry(registry) = &self.source {
            registry.log_jobs();
        }
    }

    pub(crate) fn error_handler(&self) -> Arc<ErrorHandler> {
        match (&self.error_handler, &self.source) {
            (Some(handler), _) => Arc::clone(handler),
            (None, Source::Registry(registry)) => registry.error_handler(),
            (None, Source::Closure(_)) => Arc::new(JobRegistry::default_error_handler),
        }
    }
}

fn within_bounds(option: &'static str, given: Duration, at_least: Duration) -> Result<(), RunError> {
    if given < at_least {
        return Err(RunError::TooShort {
            option,
            given,
            at_least,
        });
    }
    // Beyond, neither our clock nor the database's can hold the deadline.
    if given > MAX_DURATION {
        return Err(RunError::TooLong {
            option,
            given,
            at_most: MAX_DURATION,
        });
    }
    Ok(())
}

impl fmt::Debug for JobRunnerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the connect options: they hold a password.
        f.debug_struct("JobRunnerOptions")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_a_direct_url_or_refused_as_one(
            text in prop_oneof![
                any::<String>(),
                "(postgres(ql)?://)?[a-z%:@\\[\\]]{0,6}[@:/]?[a-z%0-9:.\\[\\]-]{0,12}(:[0-9]{0,6})?(/[a-z%0-9]{0,5})?(\\?[a-z-]{0,8}=[^#]{0,8})?",
                "postgres:///\\?(sslmode|port|options|options\\[x\\]|statement-cache-capacity|host|sslrootcert)=.{0,8}",
            ]
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let _inside = runtime.enter();
            let pool = PgPool::connect_lazy_with(PgConnectOptions::new_without_pgpass());
            let mut options = JobRunnerOptions::new(&pool, drop);
            match options.set_direct_url(&text).target() {
                Ok(_) => {}
                Err(RunError::DirectUrl { .. }) => {}
                Err(error) => prop_assert!(false, "{error:?}"),
            }
        }
    }
}
