//! The application as a test sees it: a queue, requests, and the letters that were sent.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use devpg::TestDb;
use example_app::mail::{Letter, MailError, Mailer, SendMail, Sending};
use example_app::{jobs, migrate, routes};
use sqlx::PgPool;
use sqlxmq::JobRegistry;
use sqlxmq::testing::TestQueue;
use tower::ServiceExt;

/// The application, for one test.
pub struct App {
    pub queue: Arc<TestQueue>,
    pub jobs: JobRegistry,
    pub letters: Arc<Letters>,
    routes: Router,
    _database: Option<TestDb>,
}

impl App {
    /// Starts it on the server of `DATABASE_URL`, or on the throw-away one of this repository. An application has one of the
    /// two lines: `TestQueue::create().await`, or with `#[sqlx::test]` `TestQueue::of(&pool).await`.
    pub async fn start() -> Self {
        let (queue, database) = match std::env::var_os("DATABASE_URL") {
            Some(_) => (TestQueue::create().await, None),
            None => {
                let database = TestDb::create(sqlxmq::migrator()).await;
                (TestQueue::of(database.pool()).await, Some(database))
            }
        };
        migrate(queue.pool()).await.unwrap();
        let letters = Arc::new(Letters::default());
        let mut jobs = jobs(Mailer(Arc::clone(&letters) as Arc<dyn SendMail>));
        // A test that wants to see errors finds them in what `drain` returns.
        jobs.set_error_handler(|_, _| {});
        Self {
            routes: routes(queue.pool().clone()),
            queue: Arc::new(queue),
            jobs,
            letters,
            _database: database,
        }
    }

    pub fn pool(&self) -> &PgPool {
        self.queue.pool()
    }

    /// Sends a request and returns the answer.
    pub async fn send(&self, method: &str, path: &str, body: impl Into<String>) -> (StatusCode, String) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.into()))
            .unwrap();
        let response = self.routes.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }
}

/// The letters that were sent, and what is to happen when the next one is.
#[derive(Default)]
pub struct Letters {
    sent: Mutex<Vec<Letter>>,
    next: Mutex<Option<Accident>>,
}

/// What can happen to a letter.
pub enum Accident {
    /// The server does not take it.
    Fails(MailError),
    /// It is sent, and the job's runner loses its lease meanwhile.
    LosesLease(Arc<TestQueue>),
}

impl Letters {
    pub fn sent(&self) -> Vec<Letter> {
        self.sent.lock().unwrap().clone()
    }

    pub fn happens_next(&self, accident: Accident) {
        *self.next.lock().unwrap() = Some(accident);
    }
}

impl SendMail for Letters {
    fn send(&self, letter: Letter) -> Sending<'_> {
        Box::pin(async move {
            let accident = self.next.lock().unwrap().take();
            match accident {
                Some(Accident::Fails(error)) => return Err(error),
                Some(Accident::LosesLease(queue)) => assert_eq!(queue.lose_leases().await, 1),
                None => {}
            }
            self.sent.lock().unwrap().push(letter);
            Ok(())
        })
    }
}
