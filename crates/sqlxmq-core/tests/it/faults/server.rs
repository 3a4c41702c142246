//! A server that crashes, closes connections, or has no room left.

use std::time::{Duration, Instant};

use devpg::{DevPg, StartError, eventually};
use sqlx::{Connection, PgConnection, PgPool};
use uuid::Uuid;

use tokio_util::task::TaskTracker;

use super::support::{
    builder, busy_runner, check_effects, make_tables, pool, spawn_until, until_done, until_more,
};
use crate::support::{queue, states};

#[tokio::test]
async fn each_connection_of_a_runner_that_is_closed_is_replaced_and_no_effect_made_twice() {
    let db = queue().await;
    make_tables(db.pool()).await;
    let mut options = busy_runner(db.pool(), Duration::from_millis(100));
    let mut handle = options.set_concurrency(8, 16).run().await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let spawning = TaskTracker::new().spawn(spawn_until(db.pool().clone(), stopped));
    for role in ["claim", "complete", "renew", "maintain", "listen"] {
        until_more(db.pool(), 5).await;
        let closed: Vec<i32> = sqlx::query_scalar(
            "with its as materialized (
               select pid from pg_stat_activity
               where datname = current_database() and application_name = 'sqlxmq ' || $1
             )
             select pid from its where pg_terminate_backend(pid)",
        )
        .bind(role)
        .fetch_all(db.pool())
        .await
        .unwrap();
        assert_eq!(closed.len(), 1, "{role}");
        eventually("another connection", async || {
            let pids: Vec<i32> = sqlx::query_scalar(
                "select pid from pg_stat_activity
                 where datname = current_database() and application_name = 'sqlxmq ' || $1",
            )
            .bind(role)
            .fetch_all(db.pool())
            .await
            .map_err(|error| error.to_string())?;
            match pids[..] {
                [pid] if pid != closed[0] => Ok(()),
                _ => Err(format!("{role}: {pids:?} after {closed:?}")),
            }
        })
        .await;
    }
    stop.send(()).unwrap();
    let acknowledged = spawning.await.unwrap();
    until_done(db.pool()).await;
    check_effects(db.pool(), &acknowledged).await;
    handle.stop().await;
}

/// A server of one's own with the queue in it.
async fn server(builder: devpg::DevPgBuilder) -> Result<(DevPg, PgPool), StartError> {
    let server = builder.start()?;
    let pool = pool(&server.url("postgres")).await;
    sqlxmq_core::migrate(&pool).await.expect("the schema");
    make_tables(&pool).await;
    Ok((server, pool))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_immediate_restart_running_jobs_have_their_effects_once_and_new_ones_start() {
    let (mut server, pool) = server(DevPg::builder().durable()).await.expect("a server");
    let mut options = busy_runner(&pool, Duration::from_millis(100));
    let mut handle = options.set_concurrency(8, 16).run().await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let spawning = TaskTracker::new().spawn(spawn_until(pool.clone(), stopped));
    for _ in 0..2 {
        until_more(&pool, 10).await;
        server = tokio::task::spawn_blocking(move || {
            server.restart_immediately().expect("a restart");
            server
        })
        .await
        .unwrap();
        let up = Instant::now();
        until_more(&pool, 1).await;
        let took = up.elapsed();
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
    stop.send(()).unwrap();
    let acknowledged = spawning.await.unwrap();
    until_done(&pool).await;
    check_effects(&pool, &acknowledged).await;
    handle.stop().await;
}

async fn connect(server: &DevPg) -> PgConnection {
    let mut connection = PgConnection::connect(&server.url("postgres"))
        .await
        .expect("a connection");
    // As the runner's session that claims.
    sqlx::query("set synchronous_commit = off")
        .execute(&mut connection)
        .await
        .unwrap();
    connection
}

async fn claim(connection: &mut PgConnection, runner: Uuid, claim: i64) -> (Vec<Uuid>, Vec<i32>) {
    sqlx::query_as("select ids, attempts from mq_claim_by_name($1, $2, 10, 1 << 20, null, true, null, false)")
        .bind(runner)
        .bind(claim)
        .fetch_one(connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_claim_that_a_crash_forgets_leaves_the_job_ready_and_its_token_void() {
    // Nobody flushes but commits that wait for it.
    let slow = DevPg::builder()
        .durable()
        .setting("wal_writer_delay", "10s")
        .setting("autovacuum", "off");
    let (mut server, pool) = server(slow).await.expect("a server");
    let runner = Uuid::new_v4();
    sqlx::query("select mq_register($1, interval '1 minute', 'by hand')")
        .bind(runner)
        .execute(&pool)
        .await
        .unwrap();
    let id = builder().spawn(&pool).await.unwrap();

    let first = claim(&mut connect(&server).await, runner, 1).await;
    assert_eq!(first, (vec![id], vec![1]));
    server.restart_immediately().expect("a restart");
    eventually("the server", async || {
        pool.acquire().await.map(drop).map_err(|e| e.to_string())
    })
    .await;
    assert_eq!(states(&pool, id).await, ["ready"], "the claim was forgotten");
    // The row of the runner was there before its first claim.
    let again = claim(&mut connect(&server).await, runner, 2).await;
    assert_eq!(again, (vec![id], vec![1]), "no attempt was used");
    for (token, completes) in [(1, 0), (2, 1)] {
        let completed: Vec<Uuid> = sqlx::query_scalar("select completed from mq_complete($1, $2, $3, true)")
            .bind(runner)
            .bind([id])
            .bind([token])
            .fetch_one(&pool)
            .await
            .unwrap();
        assert_eq!(completed.len(), completes, "token {token}");
    }
}

#[tokio::test]
async fn a_job_that_crashes_the_server_uses_up_its_attempts() {
    let slow = DevPg::builder()
        .durable()
        .setting("wal_writer_delay", "10s")
        .setting("autovacuum", "off");
    let (mut server, pool) = server(slow).await.expect("a server");
    let runner = Uuid::new_v4();
    sqlx::query("select mq_register($1, interval '1 minute', 'by hand')")
        .bind(runner)
        .execute(&pool)
        .await
        .unwrap();
    let id = builder()
        .set_retry_backoff(Duration::ZERO)
        .spawn(&pool)
        .await
        .unwrap();
    claim(&mut connect(&server).await, runner, 1).await;
    let _: Vec<Uuid> = sqlx::query_scalar("select failed from mq_fail($1, $2, $3, array['no'], true)")
        .bind(runner)
        .bind([id])
        .bind([1_i64])
        .fetch_one(&pool)
        .await
        .unwrap();
    let second = eventually("a second attempt", async || {
        sqlx::query("select mq_promote(10)")
            .execute(&pool)
            .await
            .map_err(|e| e.to_string())?;
        match claim(&mut connect(&server).await, runner, 2).await {
            (ids, _) if ids.is_empty() => Err("not due".to_owned()),
            claimed => Ok(claimed),
        }
    })
    .await;
    assert_eq!(second, (vec![id], vec![2]));
    server.restart_immediately().expect("a restart");
    eventually("the server", async || {
        pool.acquire().await.map(drop).map_err(|e| e.to_string())
    })
    .await;
    assert_eq!(
        states(&pool, id).await,
        ["running"],
        "the second attempt is not forgotten"
    );
}

/// Fills what is left of a disk.
fn fill(ballast: &std::path::Path) {
    use std::io::Write;
    let mut file = std::fs::File::create(ballast).expect("a file");
    let zeroes = vec![0; 64 * 1024];
    while file.write_all(&zeroes).is_ok() {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runner_survives_a_full_disk_and_goes_on_when_there_is_room() {
    let small = DevPg::builder()
        .durable()
        .setting("max_wal_size", "48MB")
        .setting("min_wal_size", "32MB")
        .wal_disk(128 << 20);
    let (mut server, pool) = match server(small).await {
        Err(StartError::Program {
            program: "mount",
            log,
        }) => {
            return eprintln!("skipped, since this machine does not let us mount a small disk: {log}");
        }
        started => started.expect("a server"),
    };
    let mut options = busy_runner(&pool, Duration::from_millis(20));
    let mut handle = options.set_concurrency(8, 16).run().await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let spawning = TaskTracker::new().spawn(spawn_until(pool.clone(), stopped));
    until_more(&pool, 5).await;

    let ballast = server.root().join("wal/ballast");
    fill(&ballast);
    // Segments that are there already are used up first.
    eventually("the server to find no room", async || {
        let filled = sqlx::raw_sql(
            "select pg_switch_wal(); select pg_logical_emit_message(false, 'x', repeat('x', 8000000))",
        )
        .execute(&pool)
        .await;
        match filled {
            Ok(_) => Err("there is room".to_owned()),
            Err(_) => Ok(()),
        }
    })
    .await;
    eventually("the runner to notice", async || {
        let health = handle.health();
        if health.connected {
            Err(format!("{health:?}"))
        } else {
            Ok(())
        }
    })
    .await;
    assert!(!handle.health().stopping);

    std::fs::remove_file(&ballast).expect("to remove the ballast");
    server = tokio::task::spawn_blocking(move || {
        server.restart_immediately().expect("a restart");
        server
    })
    .await
    .unwrap();
    until_more(&pool, 5).await;
    stop.send(()).unwrap();
    let acknowledged = spawning.await.unwrap();
    until_done(&pool).await;
    check_effects(&pool, &acknowledged).await;
    handle.stop().await;
    drop(server);
}
