//! What operators do: look, remove, revive.

use std::time::Duration;

use devpg::TestDb;
use sqlx::{Executor, PgPool};
use sqlxmq_core::{
    AdminError, JobState, cancel, clear, clear_all, counts, dead_jobs, discard, exists, job_errors, requeue,
};
use uuid::Uuid;

use crate::support::{ByHand, NONE, job, queue, states};

/// One job in each state, in the given channel; ordered ones each in a channel of its own.
async fn one_of_each(
    pool: &PgPool,
    runner: &mut ByHand,
    channel: &str,
    ordered: bool,
) -> Vec<(Uuid, &'static str)> {
    let new = |name: &'static str| {
        let mut builder = job(name);
        builder
            .set_channel_name(channel)
            .set_channel_args(name)
            .set_ordered(ordered);
        builder
    };
    let dead = new("dead").set_retries(0).spawn(pool).await.unwrap();
    assert_eq!(runner.fail_all("dead", "broken").await, [dead]);
    let backing_off = new("backing off")
        .set_retry_backoff(Duration::from_secs(60))
        .spawn(pool)
        .await
        .unwrap();
    assert_eq!(runner.fail_all("backing off", "broken").await, [backing_off]);
    let running = new("running").spawn(pool).await.unwrap();
    assert_eq!(runner.claim_named(Some("running")).await.0, [running]);
    let delayed = new("delayed")
        .set_delay(Duration::from_secs(60))
        .spawn(pool)
        .await
        .unwrap();
    let held = new("held")
        .set_commit_interval(Some(Duration::from_secs(60)))
        .spawn(pool)
        .await
        .unwrap();
    let ready = new("ready").spawn(pool).await.unwrap();
    let jobs = vec![
        (dead, "dead"),
        (backing_off, "scheduled"),
        (running, "running"),
        (delayed, "scheduled"),
        (held, "held"),
        (ready, "ready"),
    ];
    for &(id, state) in &jobs {
        assert_eq!(states(pool, id).await, [state]);
    }
    jobs
}

/// Asserts that nothing is left of any job, in any table.
async fn assert_empty(pool: &PgPool) {
    for table in [
        "mq_jobs",
        "mq_scheduled",
        "mq_held",
        "mq_running",
        "mq_dead",
        "mq_line",
        "mq_errors",
        "mq_leases",
        "mq_checkpoints",
    ] {
        let rows: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("select count(*) from {table}")))
            .fetch_one(pool)
            .await
            .unwrap();
        assert_eq!(rows, 0, "{table}");
    }
    // A turn of an ordered channel may outlive the jobs: a claim drops it.
    let ready: i64 = sqlx::query_scalar("select count(*) from mq_ready_jobs")
        .fetch_one(pool)
        .await
        .unwrap();
    assert_eq!(ready, 0, "mq_ready_jobs");
}

#[tokio::test]
async fn a_job_can_be_cancelled_in_every_state() {
    for ordered in [false, true] {
        let db = queue().await;
        let mut runner = ByHand::register(db.pool()).await;
        for (id, state) in one_of_each(db.pool(), &mut runner, "c", ordered).await {
            assert!(exists(db.pool(), id).await.unwrap(), "{state}");
            assert_eq!(cancel(db.pool(), &[id]).await.unwrap(), [id], "{state}");
            assert!(!exists(db.pool(), id).await.unwrap(), "{state}");
            assert_eq!(cancel(db.pool(), &[id]).await.unwrap(), NONE, "{state}");
        }
        assert_empty(db.pool()).await;
        db.close().await;
    }
}

#[tokio::test]
async fn a_cancelled_job_can_not_complete() {
    let db = queue().await;
    let mut runner = ByHand::register(db.pool()).await;
    let id = job("mail").spawn(db.pool()).await.unwrap();
    let kept = job("kept").spawn(db.pool()).await.unwrap();
    let (ids, claim) = runner.claim().await;
    assert_eq!(ids.len(), 2);
    assert_eq!(cancel(db.pool(), &[id, Uuid::now_v7()]).await.unwrap(), [id]);
    assert!(!runner.complete(id, claim).await);
    assert!(!runner.fail(id, claim, "too late").await);
    assert!(runner.complete(kept, claim).await);
    assert_eq!(cancel(db.pool(), &[]).await.unwrap(), NONE);
    db.close().await;
}

#[tokio::test]
async fn the_next_in_line_starts_when_the_job_before_it_is_cancelled() {
    for state in ["ready", "running"] {
        let db = queue().await;
        let mut runner = ByHand::register(db.pool()).await;
        let spawn = async |name| job(name).set_ordered(true).spawn(db.pool()).await.unwrap();
        let [first, middle, last] = [spawn("first").await, spawn("middle").await, spawn("last").await];
        if state == "running" {
            assert_eq!(runner.claim().await.0, [first]);
            assert_eq!(runner.claim().await.0, NONE);
        }
        // A middle one moves nothing; with the first, the last is next.
        assert_eq!(cancel(db.pool(), &[middle]).await.unwrap(), [middle]);
        assert_eq!(cancel(db.pool(), &[first]).await.unwrap(), [first]);
        assert_eq!(runner.claim().await.0, [last], "{state}");
        db.close().await;
    }
}

#[tokio::test]
async fn clear_removes_the_jobs_of_the_given_channel_names_only() {
    let db = queue().await;
    let mut runner = ByHand::register(db.pool()).await;
    let unwanted = one_of_each(db.pool(), &mut runner, "unwanted", false).await;
    let unwanted_too = one_of_each(db.pool(), &mut runner, "too", true).await;
    runner.claim().await;
    let kept = job("kept")
        .set_channel_name("kept")
        .spawn(db.pool())
        .await
        .unwrap();
    let also_kept = job("kept")
        .set_channel_name("Unwanted")
        .spawn(db.pool())
        .await
        .unwrap();

    clear(db.pool(), &[]).await.unwrap();
    clear(db.pool(), &["unwanted", "too", "no such channel", "unwanted"])
        .await
        .unwrap();
    for (id, state) in unwanted.into_iter().chain(unwanted_too) {
        assert!(!exists(db.pool(), id).await.unwrap(), "{state}");
    }
    assert_eq!(states(db.pool(), kept).await, ["ready"]);
    assert_eq!(states(db.pool(), also_kept).await, ["ready"]);

    clear_all(db.pool()).await.unwrap();
    assert_empty(db.pool()).await;
    clear_all(db.pool()).await.unwrap();
    db.close().await;
}

#[tokio::test]
async fn a_clear_that_is_rolled_back_removes_nothing() {
    let db = queue().await;
    let mut runner = ByHand::register(db.pool()).await;
    let jobs = one_of_each(db.pool(), &mut runner, "c", false).await;
    let mut transaction = db.pool().begin().await.unwrap();
    let outcome = clear(&mut *transaction, &["a\0b"]).await;
    assert!(matches!(outcome, Err(AdminError::Nul { .. })), "{outcome:?}");
    clear(&mut *transaction, &["c"]).await.unwrap();
    transaction.rollback().await.unwrap();
    for (id, state) in jobs {
        assert_eq!(states(db.pool(), id).await, [state]);
    }
    db.close().await;
}

#[tokio::test]
async fn dead_jobs_are_listed_page_by_page_with_their_last_error() {
    let db = queue().await;
    let mut runner = ByHand::register(db.pool()).await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        let mut doomed = job("doomed");
        doomed
            .set_channel_name("c")
            .set_channel_args("a")
            .set_retries(1)
            .set_retry_backoff(Duration::ZERO);
        ids.push(doomed.spawn(db.pool()).await.unwrap());
    }
    assert_eq!(dead_jobs(db.pool(), 10, None).await.unwrap(), []);
    runner.fail_all("doomed", "first").await;
    db.pool().execute("select mq_promote(100)").await.unwrap();
    assert_eq!(runner.fail_all("doomed", "second 🦀").await.len(), 5);

    let first_page = dead_jobs(db.pool(), 3, None).await.unwrap();
    let second_page = dead_jobs(db.pool(), 3, Some(ids[2])).await.unwrap();
    let listed: Vec<Uuid> = first_page
        .iter()
        .chain(&second_page)
        .map(|dead| dead.id)
        .collect();
    assert_eq!(listed, ids);
    assert_eq!(first_page.len(), 3);
    let dead = &second_page[0];
    assert_eq!(
        (
            dead.name.as_str(),
            dead.channel_name.as_str(),
            dead.channel_args.as_str()
        ),
        ("doomed", "c", "a")
    );
    assert_eq!(
        (dead.attempts, dead.last_error.as_deref()),
        (2, Some("second 🦀"))
    );
    assert_eq!(dead_jobs(db.pool(), u32::MAX, Some(ids[4])).await.unwrap(), []);

    let errors = job_errors(db.pool(), ids[0]).await.unwrap();
    let told: Vec<(u32, &str)> = errors
        .iter()
        .map(|error| (error.attempt, error.error.as_str()))
        .collect();
    assert_eq!(told, [(1, "first"), (2, "second 🦀")]);
    assert!(errors[0].failed_at <= errors[1].failed_at);
    assert_eq!(job_errors(db.pool(), Uuid::now_v7()).await.unwrap(), []);
    db.close().await;
}

#[tokio::test]
async fn a_dead_job_is_requeued_with_all_its_attempts() {
    for ordered in [false, true] {
        let db = queue().await;
        let mut runner = ByHand::register(db.pool()).await;
        let mut doomed = job("doomed");
        let id = doomed
            .set_retries(0)
            .set_ordered(ordered)
            .spawn(db.pool())
            .await
            .unwrap();
        assert_eq!(requeue(db.pool(), &[id]).await.unwrap(), NONE, "it is not dead");
        runner.fail_all("doomed", "once").await;
        assert_eq!(requeue(db.pool(), &[Uuid::now_v7(), id]).await.unwrap(), [id]);
        assert_eq!(states(db.pool(), id).await, ["ready"]);
        let (ids, claim) = runner.claim().await;
        assert_eq!(ids, [id]);
        assert_eq!(job_errors(db.pool(), id).await.unwrap().len(), 1);
        assert!(runner.complete(id, claim).await);
        assert!(!exists(db.pool(), id).await.unwrap());
        assert_eq!(requeue(db.pool(), &[]).await.unwrap(), NONE);
        db.close().await;
    }
}

#[tokio::test]
async fn a_dead_job_is_discarded_with_its_errors() {
    let db = queue().await;
    let mut runner = ByHand::register(db.pool()).await;
    let jobs = one_of_each(db.pool(), &mut runner, "c", false).await;
    let ids: Vec<Uuid> = jobs.iter().map(|(id, _)| *id).collect();
    let (dead, _) = jobs[0];
    assert_eq!(
        discard(db.pool(), &ids).await.unwrap(),
        [dead],
        "only the dead one"
    );
    assert_eq!(job_errors(db.pool(), dead).await.unwrap(), []);
    assert_eq!(discard(db.pool(), &[dead]).await.unwrap(), NONE);
    for &(id, state) in &jobs[1..] {
        assert_eq!(states(db.pool(), id).await, [state]);
    }
    db.close().await;
}

/// Whoever asks would count them all himself otherwise, however long that takes.
#[tokio::test]
async fn counts_of_much_are_noted_although_nothing_has_changed_and_those_of_little_are_not() {
    let db = queue().await;
    let is_noted_again = async || -> bool {
        sqlx::raw_sql("select mq_refresh_counts(); update mq_counts_age set counted_at = '-infinity'; select mq_refresh_counts()")
            .execute(db.pool())
            .await
            .unwrap();
        sqlx::query_scalar("select counted_at > '-infinity' from mq_counts_age")
            .fetch_one(db.pool())
            .await
            .unwrap()
    };
    sqlx::query("select mq_spawn('late', delay => '1 hour')")
        .execute(db.pool())
        .await
        .unwrap();
    assert!(!is_noted_again().await);
    sqlx::query("select mq_spawn('late', delay => '1 hour') from generate_series(1, 6000)")
        .execute(db.pool())
        .await
        .unwrap();
    assert!(is_noted_again().await);
}

/// Under a pin a count reads what is gone as well: it is not to be done all the time.
#[tokio::test]
async fn a_count_that_took_long_is_good_for_longer() {
    let db = queue().await;
    job("first").spawn(db.pool()).await.unwrap();
    job("second").spawn(db.pool()).await.unwrap();
    // Nothing was counted, that long ago, which took so long.
    let nothing_was_counted = async |ago: &str, took: &str| {
        sqlx::query("with emptied as (delete from mq_counts_cache) update mq_counts_age set counted_at = mq_now() - $1::interval, took = $2::interval")
            .bind(ago)
            .bind(took)
            .execute(db.pool())
            .await
            .unwrap();
    };
    let counts_both = async |ago: &str, took: &str| -> bool {
        nothing_was_counted(ago, took).await;
        sqlx::raw_sql("select mq_refresh_counts()")
            .execute(db.pool())
            .await
            .unwrap();
        let of_noted = "select coalesce(sum(jobs), 0) = 2 from mq_counts_cache";
        sqlx::query_scalar(of_noted).fetch_one(db.pool()).await.unwrap()
    };
    assert!(!counts_both("3 seconds", "1 millisecond").await);
    assert!(counts_both("5 seconds", "1 millisecond").await);
    assert!(!counts_both("15 seconds", "1 second").await);
    assert!(counts_both("25 seconds", "1 second").await);
    assert!(!counts_both("45 seconds", "1 hour").await);
    assert!(counts_both("55 seconds", "1 hour").await);

    // And whoever asks counts himself when that is over.
    let asked = async |ago: &str, took: &str| -> u64 {
        nothing_was_counted(ago, took).await;
        let counted = counts(db.pool()).await.unwrap();
        counted.iter().map(|count| count.jobs).sum()
    };
    assert_eq!(asked("9 seconds", "1 millisecond").await, 0);
    assert_eq!(asked("11 seconds", "1 millisecond").await, 2);
    assert_eq!(asked("64 seconds", "1 hour").await, 0);
    assert_eq!(asked("66 seconds", "1 hour").await, 2);
    db.close().await;
}

#[tokio::test]
async fn jobs_are_counted_by_channel_and_state() {
    let db = queue().await;
    let mut runner = ByHand::register(db.pool()).await;
    one_of_each(db.pool(), &mut runner, "plain", false).await;
    one_of_each(db.pool(), &mut runner, "ordered", true).await;
    let mut counted: Vec<(String, String, JobState, u64)> = counts(db.pool())
        .await
        .unwrap()
        .into_iter()
        .map(|count| (count.channel_name, count.channel_args, count.state, count.jobs))
        .collect();
    counted.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    let expected = ["ordered", "plain"].into_iter().flat_map(|channel| {
        [
            ("backing off", JobState::Scheduled),
            ("dead", JobState::Dead),
            ("delayed", JobState::Scheduled),
            ("held", JobState::Held),
            ("ready", JobState::Ready),
            ("running", JobState::Running),
        ]
        .map(|(args, state)| (channel.to_owned(), args.to_owned(), state, 1))
    });
    assert_eq!(counted, expected.collect::<Vec<_>>());

    for _ in 0..3 {
        job("more")
            .set_channel_name("many")
            .spawn(db.pool())
            .await
            .unwrap();
    }
    let many = counts(db.pool())
        .await
        .unwrap()
        .into_iter()
        .find(|count| count.channel_name == "many");
    assert_eq!(
        many.map(|count| (count.state, count.jobs)),
        Some((JobState::Ready, 3))
    );
    db.close().await;
}

#[tokio::test]
async fn every_function_says_when_the_schema_is_missing() {
    let empty = TestDb::create_empty().await;
    let pool = empty.pool();
    let id = Uuid::now_v7();
    let outcomes = [
        clear(pool, &["a"]).await.err(),
        clear_all(pool).await.err(),
        exists(pool, id).await.err(),
        cancel(pool, &[id]).await.err(),
        dead_jobs(pool, 1, None).await.err(),
        requeue(pool, &[id]).await.err(),
        discard(pool, &[id]).await.err(),
        job_errors(pool, id).await.err(),
        counts(pool).await.err(),
    ];
    for outcome in outcomes {
        assert!(
            matches!(outcome, Some(AdminError::SchemaMissing { .. })),
            "{outcome:?}"
        );
    }
    empty.close().await;
}
