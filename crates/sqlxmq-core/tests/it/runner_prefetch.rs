//! What a runner claims ahead of the places it has: how far, and who runs it if the places stay taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use devpg::{TestDb, eventually};
use sqlx::Executor;
use sqlxmq_core::{CurrentJob, JobRunnerHandle, JobRunnerOptions, spawn_all};
use tokio::sync::{Semaphore, mpsc};

use crate::runner_support::{Errors, given, runner};
use crate::support::queue;

/// So many short jobs come first, so that a runner claims ahead.
const SHORT: usize = 2000;
/// Then those that take all its places until they are let go.
const PLACES: usize = 64;
/// And then these, which another runner could run.
const AFTER: usize = 200;

/// A queue that notes each job that is claimed, and under which claim.
async fn noting_queue() -> TestDb {
    let db = queue().await;
    db.pool()
        .execute(
            "create table claimed (claim bigint, id uuid);
             create function note() returns trigger language plpgsql as $$
             begin
               insert into claimed values (new.claim, new.id);
               return null;
             end $$;
             create trigger note after insert on mq_running for each row execute function note()",
        )
        .await
        .unwrap();
    db
}

async fn count(db: &TestDb, what: &'static str) -> usize {
    let count: i64 = sqlx::query_scalar(what).fetch_one(db.pool()).await.unwrap();
    usize::try_from(count).unwrap()
}

const CLAIMS: &str = "select count(distinct claim) from claimed";
const LARGEST_CLAIM: &str =
    "select max(c.jobs) from (select count(*) as jobs from claimed group by claim) as c";
const CLAIMED: &str = "select count(*) from claimed";
const RUNNING: &str = "select count(*) from mq_running";
const THERE: &str = "select count(*) from mq_jobs";

/// All at once, in this order.
async fn spawn(db: &TestDb, kinds: &[(usize, &'static str)]) {
    let job = |text: &'static str| {
        let mut job = given();
        job.set_raw_bytes(text.as_bytes());
        job
    };
    let jobs: Vec<_> = kinds
        .iter()
        .flat_map(|(jobs, text)| (0..*jobs).map(|_| job(text)))
        .collect();
    spawn_all(db.pool(), &jobs).await.unwrap();
}

async fn until_there_are(db: &TestDb, jobs: usize) {
    eventually(&format!("{jobs} jobs"), async || match count(db, THERE).await {
        there if there == jobs => Ok(()),
        there => Err(format!("{there} jobs")),
    })
    .await;
}

/// A runner whose jobs count how many run at a time.
fn counting(db: &TestDb, most: &Arc<AtomicUsize>) -> (JobRunnerOptions, Errors) {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::clone(most));
    runner(db.pool(), move |mut job: CurrentJob| {
        let (now, most) = (Arc::clone(&now), Arc::clone(&most));
        async move {
            most.fetch_max(1 + now.fetch_add(1, Ordering::SeqCst), Ordering::SeqCst);
            job.complete().await?;
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        }
    })
}

#[tokio::test]
async fn short_jobs_share_claims_though_no_more_run_at_a_time_than_may() {
    let db = noting_queue().await;
    let most = Arc::default();
    let (mut options, _errors) = counting(&db, &most);
    spawn(&db, &[(SHORT, "")]).await;
    let mut handle = options.set_concurrency(PLACES, PLACES).run().await.unwrap();
    until_there_are(&db, 0).await;
    handle.stop().await;
    let largest = count(&db, LARGEST_CLAIM).await;
    assert!(largest > PLACES, "no claim brought more than {largest}");
    // A job has left its place when its completion is stored, a moment before its function goes on.
    let most = most.load(Ordering::SeqCst);
    assert!(most <= 2 * PLACES, "{most} at a time");
}

#[tokio::test]
async fn a_lease_of_its_own_is_not_spent_on_waiting_for_a_place() {
    let db = noting_queue().await;
    let (mut options, _errors) = counting(&db, &Arc::default());
    options.set_concurrency(1, 1).set_keep_alive(false);
    spawn(&db, &[(100, "")]).await;
    let mut handle = options.run().await.unwrap();
    until_there_are(&db, 0).await;
    handle.stop().await;
    assert_eq!(count(&db, CLAIMS).await, 100);
}

/// A runner all of whose places are taken until they are let go.
struct Stuck {
    options: JobRunnerOptions,
    _errors: Errors,
    has_started: mpsc::UnboundedReceiver<()>,
    let_go: Arc<Semaphore>,
}

impl Stuck {
    fn prepare(db: &TestDb) -> Self {
        let (started, has_started) = mpsc::unbounded_channel();
        let let_go = Arc::new(Semaphore::new(0));
        let may_go = Arc::clone(&let_go);
        let (mut options, errors) = runner(db.pool(), move |mut job: CurrentJob| {
            let (started, may_go) = (started.clone(), Arc::clone(&may_go));
            async move {
                assert_eq!(job.attempt(), 1, "no attempt was used");
                if job.raw_bytes() == Some(b"stuck") {
                    started.send(())?;
                    may_go.acquire().await?.forget();
                }
                job.complete().await?;
                Ok(())
            }
        });
        options.set_concurrency(PLACES, PLACES);
        Self {
            options,
            _errors: errors,
            has_started,
            let_go,
        }
    }

    /// Runs it until it has claimed more than it has places for, and all of these are taken. On a slow machine it may have to be tried
    /// again: short jobs are not short there.
    async fn until_ahead(&mut self, db: &TestDb) -> JobRunnerHandle {
        let handle = self.options.run().await.unwrap();
        for _ in 0..50 {
            spawn(db, &[(SHORT, "short"), (PLACES, "stuck"), (AFTER, "short")]).await;
            for _ in 0..PLACES {
                self.has_started.recv().await.unwrap();
            }
            if count(db, CLAIMED).await > SHORT + PLACES {
                return handle;
            }
            self.let_go.add_permits(PLACES);
            until_there_are(db, 0).await;
            db.pool().execute("truncate claimed").await.unwrap();
        }
        panic!("nothing was claimed ahead");
    }
}

#[tokio::test]
async fn what_was_claimed_ahead_of_long_jobs_is_run_by_another_runner() {
    let db = noting_queue().await;
    let mut stuck = Stuck::prepare(&db);
    let mut one = stuck.until_ahead(&db).await;
    let mut other = stuck.options.run().await.unwrap();
    until_there_are(&db, PLACES).await;
    assert_eq!(one.num_running_jobs(), PLACES);
    stuck.let_go.add_permits(PLACES);
    other.stop().await;
    one.stop().await;
    assert_eq!(count(&db, THERE).await, 0);
}

#[tokio::test]
async fn what_was_claimed_ahead_is_given_back_as_soon_as_the_runner_stops() {
    let db = noting_queue().await;
    let mut stuck = Stuck::prepare(&db);
    let handle = stuck.until_ahead(&db).await;
    let stopping = handle.shutdown(Duration::from_secs(600));
    let others_are_given_back = async {
        eventually("the others to be given back", async || {
            match (count(&db, RUNNING).await, count(&db, THERE).await) {
                (PLACES, there) if there > PLACES => Ok(()),
                seen => Err(format!("{seen:?}")),
            }
        })
        .await;
        stuck.let_go.add_permits(PLACES);
    };
    let (left, ()) = tokio::join!(stopping, others_are_given_back);
    assert_eq!(left, 0);
    assert_eq!(count(&db, RUNNING).await, 0);
}
