//! `assert_spawned!` and `refute_spawned!`: what they look for, and what they say.

use std::fmt::Write;

use super::{Spawned, SpawnedJob};

/// Returns how many of `jobs` are that job with such a payload.
#[doc(hidden)]
pub fn count_matching<J: SpawnedJob>(
    jobs: &[Spawned],
    job: &J,
    matches: impl Fn(&J::Payload) -> bool,
) -> usize {
    jobs.iter()
        .filter(|spawned| job.is_stored_as(&spawned.name))
        .filter(|spawned| job.payload(spawned).is_some_and(|payload| matches(&payload)))
        .count()
}

/// What is in the queue, a line for each job.
#[doc(hidden)]
pub fn listing(jobs: &[Spawned]) -> String {
    if jobs.is_empty() {
        return "the queue is empty (a job that has completed is gone: look before `drain`, or at what it returns)".to_owned();
    }
    let mut text = "the queue holds:".to_owned();
    for job in jobs {
        let _ = write!(text, "\n  {job}");
    }
    text
}

/// Panics unless a job is in the queue, with a payload that matches, if a pattern is given. Shows what is there instead.
///
/// `assert_spawned!(executor, job)` or `assert_spawned!(executor, job, payload matches <pattern> [if <guard>])`, in an async
/// function. The executor is a pool or a transaction; the pattern is matched against the [payload](crate::testing::SpawnedJob::Payload) by
/// reference.
///
/// # Examples
///
/// ```no_run
/// # async fn example(send_email: &'static sqlxmq_core::Job<sqlxmq_core::Json<String>>, pool: &sqlx::PgPool) {
/// use sqlxmq_core::assert_spawned;
///
/// assert_spawned!(pool, send_email);
/// assert_spawned!(pool, send_email, payload matches address if address == "ada@example.org");
/// # }
/// ```
#[macro_export]
macro_rules! assert_spawned {
    ($executor:expr, $job:expr $(,)?) => {
        $crate::assert_spawned!($executor, $job, payload matches _)
    };
    ($executor:expr, $job:expr, payload matches $pattern:pat $(if $guard:expr)? $(,)?) => {{
        let jobs = $crate::testing::spawned($executor).await;
        let found = $crate::testing::count_matching(&jobs, $job, |payload| match payload {
            $pattern $(if $guard)? => true,
            #[allow(unreachable_patterns)]
            _ => false,
        });
        ::core::assert!(
            found > 0,
            "no `{}` whose payload matches `{}` was spawned; {}",
            $job.name(),
            ::core::stringify!($pattern $(if $guard)?),
            $crate::testing::listing(&jobs),
        );
    }};
}

/// Panics if a job is in the queue, with a payload that matches, if a pattern is given. Shows what is there.
///
/// It takes what [`assert_spawned!`](crate::assert_spawned) takes.
#[macro_export]
macro_rules! refute_spawned {
    ($executor:expr, $job:expr $(,)?) => {
        $crate::refute_spawned!($executor, $job, payload matches _)
    };
    ($executor:expr, $job:expr, payload matches $pattern:pat $(if $guard:expr)? $(,)?) => {{
        let jobs = $crate::testing::spawned($executor).await;
        let found = $crate::testing::count_matching(&jobs, $job, |payload| match payload {
            $pattern $(if $guard)? => true,
            #[allow(unreachable_patterns)]
            _ => false,
        });
        ::core::assert!(
            found == 0,
            "{} `{}` whose payload matches `{}` were spawned; {}",
            found,
            $job.name(),
            ::core::stringify!($pattern $(if $guard)?),
            $crate::testing::listing(&jobs),
        );
    }};
}
