//! Real processes: this test binary, started again in another role. See `roles.rs` for what they do.

use std::env;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use devpg::TestDb;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use sqlxmq::JobRunnerHandle;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};

/// Names the role; absent in a test run.
pub const ROLE: &str = "SHOWN_ROLE";
const URL: &str = "SHOWN_URL";
const NUMBER: &str = "SHOWN_NUMBER";

/// Longer than anything here takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(100);

/// Another process of this binary. It is killed with the value, and ends by itself if this process is killed.
pub struct Process {
    child: Child,
    title: String,
}

impl Process {
    /// Starts a process in `role`. Processes of one role are told apart by their numbers.
    pub fn start(role: &str, db: &TestDb, number: i32) -> Self {
        let child = Command::new(env::current_exe().expect("the path of this program"))
            .args(["roles::role", "--exact", "--quiet", "--nocapture"])
            .env(ROLE, role)
            .env(URL, db.url())
            .env(NUMBER, number.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("a process");
        let title = format!("{role} {number}");
        Self { child, title }
    }

    /// `kill -9`.
    pub async fn kill(mut self) {
        let status = self.child.try_wait().expect("a look at a process");
        assert_eq!(status, None, "{} ended by itself", self.title);
        self.child.kill().await.expect("a killed process");
    }

    /// Sends it a signal (`STOP`, `CONT`).
    pub async fn signal(&self, name: &str) {
        let id = self.child.id().expect("a living process").to_string();
        let status = Command::new("kill")
            .args([&format!("-{name}"), &id])
            .status()
            .await
            .expect("the command `kill`");
        assert!(status.success(), "no signal {name} for {}", self.title);
    }

    /// Whether it has ended, and well.
    pub fn has_ended(&mut self) -> bool {
        let status = self.child.try_wait().expect("a look at a process");
        if let Some(status) = status {
            self.check(status);
        }
        status.is_some()
    }

    /// Lets go of it, and waits until it has ended, and well.
    pub async fn stop(mut self) {
        drop(self.child.stdin.take());
        self.end().await;
    }

    async fn end(&mut self) {
        let status = tokio::time::timeout(PATIENCE, self.child.wait())
            .await
            .unwrap_or_else(|_| panic!("{} does not end", self.title))
            .expect("the end of a process");
        self.check(status);
    }

    fn check(&self, status: ExitStatus) {
        assert!(status.success(), "{} ended with {status}", self.title);
    }
}

/// What a process was given.
pub struct Given {
    pub pool: PgPool,
    pub number: i32,
}

impl Given {
    /// Connects as the environment says.
    pub async fn from_environment() -> Self {
        let url = env::var(URL).expect("a URL");
        let pool = PgPoolOptions::new()
            .max_connections(4)
            .acquire_timeout(Duration::from_secs(30))
            .connect(&url)
            .await
            .expect("a connection");
        let number = env::var(NUMBER).expect("a number").parse().expect("a number");
        Self { pool, number }
    }
}

/// Runs jobs until the process that started this one lets go, or is gone. Then it stops as it should.
pub async fn run_until_let_go(mut runner: JobRunnerHandle) {
    let mut input = tokio::io::stdin();
    let mut nothing = Vec::new();
    tokio::select! {
        // Nothing is ever written; what counts is the end.
        _ = input.read_to_end(&mut nothing) => {}
        // The handle can be asked again.
        reason = runner.finished() => panic!("the runner ended by itself: {reason:?}"),
    }
    runner.stop().await;
}
