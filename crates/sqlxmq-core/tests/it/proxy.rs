//! A proxy in front of the server that can do to connections what networks do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_util::task::TaskTracker;

/// What happens to the next COMMIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Commit {
    Forwarded,
    /// The server gets it, the client never hears of it: the connection is closed.
    AnswerLost,
    /// The server never gets it, and the connection is closed.
    Lost,
}

/// A proxy. Its tasks end with the test's runtime.
#[derive(Debug, Clone)]
pub struct Proxy {
    port: u16,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    next_commit: AtomicU8,
    /// Connections of older generations are frozen: open, and silent.
    generation: AtomicU64,
    is_closed: AtomicU8,
}

impl Proxy {
    /// Starts a proxy for the server of this URL (one with a socket directory).
    pub async fn start(url: &str) -> Self {
        let directory = url.split_once("host=").expect("a URL with a socket directory").1;
        let directory = directory
            .split('&')
            .next()
            .unwrap_or(directory)
            .replace("%2F", "/");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let proxy = Self {
            port: listener.local_addr().expect("an address").port(),
            state: Arc::default(),
        };
        let tasks = TaskTracker::new();
        let state = Arc::clone(&proxy.state);
        tasks.clone().spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if state.is_closed.load(Ordering::SeqCst) == 1 {
                    continue;
                }
                let server = UnixStream::connect(format!("{directory}/.s.PGSQL.5432"))
                    .await
                    .expect("the server");
                tasks.spawn(serve(client, server, Arc::clone(&state)));
            }
        });
        proxy
    }

    /// The same database, through the proxy.
    pub fn url(&self, url: &str) -> String {
        let database = url
            .split('?')
            .next()
            .and_then(|url| url.rsplit('/').next())
            .expect("a database");
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Decides what happens to the next COMMIT, whoever sends it.
    pub fn on_next_commit(&self, commit: Commit) {
        self.state.next_commit.store(commit as u8, Ordering::SeqCst);
    }

    /// Freezes all connections there are: they stay open, and nothing comes through any more. New ones work.
    pub fn freeze(&self) {
        self.state.generation.fetch_add(1, Ordering::SeqCst);
    }

    /// Freezes all connections and closes new ones at once.
    pub fn cut_off(&self) {
        self.state.is_closed.store(1, Ordering::SeqCst);
        self.freeze();
    }

    /// Lets new connections through again.
    pub fn heal(&self) {
        self.state.is_closed.store(0, Ordering::SeqCst);
    }
}

async fn serve(client: TcpStream, server: UnixStream, state: Arc<State>) {
    let generation = state.generation.load(Ordering::SeqCst);
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        // The connection ends with either direction.
        () = forward(from_client, to_server, &state, generation, true) => {}
        () = forward(from_server, to_client, &state, generation, false) => {}
    }
}

async fn forward(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    state: &State,
    generation: u64,
    is_request: bool,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length) = from.read(&mut buffer).await {
        if length == 0 {
            return;
        }
        if state.generation.load(Ordering::SeqCst) != generation {
            std::future::pending::<()>().await;
        }
        let message = &buffer[..length];
        if is_request && message.windows(6).any(|part| part == b"COMMIT") {
            let commit = state.next_commit.swap(Commit::Forwarded as u8, Ordering::SeqCst);
            if commit == Commit::Lost as u8 {
                return;
            }
            if commit == Commit::AnswerLost as u8 {
                // The other direction must not see the answer, so the server's side is read to its end from here on.
                let _ = to.write_all(message).await;
                state.next_commit.store(HIDE_ANSWER, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(200)).await;
                state.next_commit.store(Commit::Forwarded as u8, Ordering::SeqCst);
                return;
            }
        }
        while !is_request && state.next_commit.load(Ordering::SeqCst) == HIDE_ANSWER {
            tokio::time::sleep(Duration::from_millis(5)).await;
            if state.next_commit.load(Ordering::SeqCst) != HIDE_ANSWER {
                return;
            }
        }
        if to.write_all(message).await.is_err() {
            return;
        }
    }
}

const HIDE_ANSWER: u8 = 100;
