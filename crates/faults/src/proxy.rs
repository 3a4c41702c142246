//! [`Proxy`]: stands in front of the server and does to connections what networks do.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long neither end of a frozen connection hears that the other has closed it: until keepalives would give up.
const FROZEN_FOR: Duration = Duration::from_secs(25);

/// The end of an answer: ReadyForQuery, and the state of the transaction.
const READY_FOR_QUERY: &[u8] = b"Z\0\0\0\x05";

/// What happens to the next COMMIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Commit {
    /// It is carried out and answered.
    #[default]
    Forwarded,
    /// The server carries it out, the client never hears of it: the connection is closed.
    AnswerLost,
    /// The server carries it out, and nothing is heard any more: the connection stays open.
    NeverAnswered,
    /// The server never gets it, and the connection is closed.
    Lost,
}

/// A proxy in front of one server. Its tasks end with the runtime.
#[derive(Debug, Clone)]
pub struct Proxy {
    port: u16,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    next_commit: Mutex<Commit>,
    /// How many answers to other statements are still to be lost.
    answers_to_lose: AtomicU64,
    delay_ms: AtomicU64,
    is_closed: AtomicBool,
    /// What the connections of now are subject to. Later ones have signals of their own.
    signals: Mutex<Signals>,
    socket: Mutex<PathBuf>,
}

#[derive(Debug, Clone, Default)]
struct Signals {
    cut: CancellationToken,
    freeze: CancellationToken,
}

impl Proxy {
    /// Starts a proxy for the server of this URL (one with a socket directory).
    ///
    /// # Errors
    ///
    /// If there is no port.
    ///
    /// # Panics
    ///
    /// If the URL has no `host=`.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn start(url: &str) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let proxy = Self {
            port: listener.local_addr()?.port(),
            state: Arc::default(),
        };
        proxy.lead_to(url);
        let tasks = TaskTracker::new();
        let state = Arc::clone(&proxy.state);
        tasks.clone().spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if state.is_closed.load(Ordering::SeqCst) {
                    continue;
                }
                // Small messages must not wait for each other: PostgreSQL and its clients do the same.
                let _ = client.set_nodelay(true);
                tasks.spawn(serve(client, Arc::clone(&state)));
            }
        });
        Ok(proxy)
    }

    /// The same database, through the proxy.
    ///
    /// # Panics
    ///
    /// If the URL names no database.
    pub fn url(&self, url: &str) -> String {
        self.url_as("postgres", url)
    }

    /// The same database, through the proxy, as another role.
    ///
    /// # Panics
    ///
    /// If the URL names no database.
    pub fn url_as(&self, role: &str, url: &str) -> String {
        let database = url
            .split('?')
            .next()
            .and_then(|url| url.rsplit('/').next())
            .expect("a database");
        format!("postgres://{role}@127.0.0.1:{}/{database}", self.port)
    }

    /// Leads new connections to another server. Those there are go on as they were.
    ///
    /// # Panics
    ///
    /// If the URL has no `host=`.
    pub fn lead_to(&self, url: &str) {
        let directory = url.split_once("host=").expect("a URL with a socket directory").1;
        let directory = directory
            .split('&')
            .next()
            .unwrap_or(directory)
            .replace("%2F", "/");
        *lock(&self.state.socket) = PathBuf::from(directory).join(".s.PGSQL.5432");
    }

    /// Decides what happens to the next COMMIT, whoever sends it.
    pub fn on_next_commit(&self, commit: Commit) {
        *lock(&self.state.next_commit) = commit;
    }

    /// Has the server carry out the next `count` statements whose answers are then lost, with their connections.
    pub fn lose_answers(&self, count: u64) {
        self.state.answers_to_lose.store(count, Ordering::SeqCst);
    }

    /// Closes all connections there are. New ones work.
    pub fn cut(&self) {
        let cut = std::mem::take(&mut *lock(&self.state.signals)).cut;
        cut.cancel();
    }

    /// Freezes all connections there are: they stay open, and nothing comes through any more, not even that the other end
    /// has closed. New ones work.
    pub fn freeze(&self) {
        let freeze = std::mem::take(&mut *lock(&self.state.signals)).freeze;
        freeze.cancel();
    }

    /// Holds up everything in both directions for so long. Zero: no longer.
    pub fn delay(&self, delay: Duration) {
        let delay = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.state.delay_ms.store(delay, Ordering::SeqCst);
    }

    /// Freezes all connections and closes new ones at once.
    pub fn cut_off(&self) {
        self.state.is_closed.store(true, Ordering::SeqCst);
        self.freeze();
    }

    /// Lets everything through again, on new connections.
    pub fn heal(&self) {
        self.on_next_commit(Commit::Forwarded);
        self.lose_answers(0);
        self.delay(Duration::ZERO);
        self.state.is_closed.store(false, Ordering::SeqCst);
    }
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change is one assignment.
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// What happens to this message of a client.
    fn fate_of(&self, request: &[u8]) -> Commit {
        if request.windows(6).any(|part| part == b"COMMIT") {
            let commit = std::mem::take(&mut *lock(&self.next_commit));
            if commit != Commit::Forwarded {
                return commit;
            }
        }
        // Bind and Query are what makes the server do something.
        let works = matches!(request.first(), Some(b'B' | b'Q'));
        let take_one = |left: u64| left.checked_sub(1);
        if works
            && self
                .answers_to_lose
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take_one)
                .is_ok()
        {
            return Commit::AnswerLost;
        }
        Commit::Forwarded
    }

    async fn hold_up(&self) {
        let delay = self.delay_ms.load(Ordering::SeqCst);
        if delay > 0 {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
    }
}

async fn serve(mut client: TcpStream, state: Arc<State>) {
    let signals = lock(&state.signals).clone();
    let socket = lock(&state.socket).clone();
    // Without a server the client is closed, as by a machine that is up and runs no server.
    let Ok(mut server) = UnixStream::connect(socket).await else {
        return;
    };
    tokio::select! {
        // The connection ends with either end.
        _ = relay(&mut client, &mut server, &state) => {}
        // A token loses nothing. Both ends are closed.
        () = signals.cut.cancelled() => {}
        // As above; both ends stay open.
        () = signals.freeze.cancelled() => tokio::time::sleep(FROZEN_FOR).await,
    }
}

async fn relay(client: &mut TcpStream, server: &mut UnixStream, state: &State) -> io::Result<()> {
    let (mut requests, mut answers) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        tokio::select! {
            // Cancel safe, says Tokio: what was not read stays in the socket.
            length = client.read(&mut requests) => {
                let request = &requests[..length?];
                if request.is_empty() {
                    return Ok(());
                }
                state.hold_up().await;
                match state.fate_of(request) {
                    Commit::Forwarded => server.write_all(request).await?,
                    Commit::Lost => return Ok(()),
                    Commit::AnswerLost => {
                        server.write_all(request).await?;
                        return swallow_answer(server, &mut answers).await;
                    }
                    Commit::NeverAnswered => {
                        server.write_all(request).await?;
                        swallow_answer(server, &mut answers).await?;
                        tokio::time::sleep(FROZEN_FOR).await;
                        return Ok(());
                    }
                }
            }
            // As above.
            length = server.read(&mut answers) => {
                let answer = &answers[..length?];
                if answer.is_empty() {
                    return Ok(());
                }
                state.hold_up().await;
                client.write_all(answer).await?;
            }
        }
    }
}

/// Waits until the server has answered, which proves that it has done what it was sent.
async fn swallow_answer(server: &mut UnixStream, answers: &mut [u8]) -> io::Result<()> {
    loop {
        let length = server.read(answers).await?;
        let end = answers[..length]
            .len()
            .checked_sub(READY_FOR_QUERY.len() + 1)
            .map(|start| &answers[start..length - 1]);
        if length == 0 || end == Some(READY_FOR_QUERY) {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;
    use tokio::net::UnixListener;

    /// Removed with the test.
    struct Folder(PathBuf);

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    impl Folder {
        fn seen(&self) -> Vec<u8> {
            std::fs::read(self.0.join("seen")).unwrap()
        }
    }

    /// Answers each message with itself in capitals. `B` and `Q` end as PostgreSQL's answers do.
    async fn echo() -> (Folder, Proxy) {
        static STARTED: AtomicU64 = AtomicU64::new(0);
        let number = STARTED.fetch_add(1, Ordering::SeqCst);
        let directory = std::env::temp_dir().join(format!("faults-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let listener = UnixListener::bind(directory.join(".s.PGSQL.5432")).unwrap();
        let tasks = TaskTracker::new();
        let seen = directory.join("seen");
        tasks.clone().spawn(async move {
            while let Ok((mut server, _)) = listener.accept().await {
                let seen = seen.clone();
                tasks.spawn(async move {
                    let mut buffer = [0; 1024];
                    while let Ok(length @ 1..) = server.read(&mut buffer).await {
                        std::fs::write(&seen, &buffer[..length]).unwrap();
                        let mut answer = buffer[..length].to_ascii_uppercase();
                        answer.extend_from_slice(READY_FOR_QUERY);
                        answer.push(b'I');
                        if server.write_all(&answer).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        let url = format!("postgres://postgres@localhost/x?host={}", directory.display());
        (Folder(directory), Proxy::start(&url).await.unwrap())
    }

    async fn connect(proxy: &Proxy) -> TcpStream {
        TcpStream::connect(("127.0.0.1", proxy.port)).await.unwrap()
    }

    /// What comes back. `None`: the connection is closed.
    async fn ask(client: &mut TcpStream, message: &str) -> Option<String> {
        client.write_all(message.as_bytes()).await.ok()?;
        let mut buffer = [0; 1024];
        match client.read(&mut buffer).await {
            Ok(length @ 1..) => Some(String::from_utf8_lossy(&buffer[..length]).into_owned()),
            Ok(_) | Err(_) => None,
        }
    }

    #[tokio::test]
    async fn a_cut_closes_what_there_is_and_lets_new_connections_through() {
        let (_directory, proxy) = echo().await;
        let mut client = connect(&proxy).await;
        assert!(ask(&mut client, "Qhello").await.unwrap().starts_with("QHELLO"));
        proxy.cut();
        assert_eq!(ask(&mut client, "Qhello").await, None);
        assert!(ask(&mut connect(&proxy).await, "Qagain").await.is_some());
    }

    #[tokio::test]
    async fn a_frozen_connection_stays_open_and_silent() {
        let (_directory, proxy) = echo().await;
        let mut client = connect(&proxy).await;
        ask(&mut client, "Qhello").await.unwrap();
        proxy.freeze();
        let silence = tokio::time::timeout(Duration::from_millis(300), ask(&mut client, "Qhello")).await;
        assert!(silence.is_err(), "{silence:?}");
        assert!(ask(&mut connect(&proxy).await, "Qagain").await.is_some());
    }

    #[tokio::test]
    async fn a_lost_answer_is_one_to_something_that_was_done() {
        let (directory, proxy) = echo().await;
        proxy.lose_answers(1);
        assert!(ask(&mut connect(&proxy).await, "parse").await.is_some());
        assert_eq!(ask(&mut connect(&proxy).await, "Bind").await, None);
        assert_eq!(directory.seen(), b"Bind");
        assert!(ask(&mut connect(&proxy).await, "Bind").await.is_some());
        proxy.on_next_commit(Commit::NeverAnswered);
        let mut client = connect(&proxy).await;
        let silence = tokio::time::timeout(Duration::from_millis(300), ask(&mut client, "QCOMMIT")).await;
        assert!(silence.is_err(), "{silence:?}");
        assert_eq!(directory.seen(), b"QCOMMIT");
        proxy.on_next_commit(Commit::Lost);
        assert_eq!(ask(&mut connect(&proxy).await, "QROLLBACK, COMMIT").await, None);
        assert_eq!(directory.seen(), b"QCOMMIT");
    }

    #[tokio::test]
    async fn a_delay_holds_up_both_directions_until_it_is_lifted() {
        let (_directory, proxy) = echo().await;
        proxy.delay(Duration::from_millis(100));
        let mut client = connect(&proxy).await;
        let since = Instant::now();
        ask(&mut client, "Qhello").await.unwrap();
        assert!(since.elapsed() >= Duration::from_millis(200));
        proxy.heal();
        let since = Instant::now();
        ask(&mut client, "Qhello").await.unwrap();
        assert!(since.elapsed() < Duration::from_millis(100));
    }

    #[tokio::test]
    async fn new_connections_are_led_to_the_other_server() {
        let (_first, proxy) = echo().await;
        let (second, other) = echo().await;
        proxy.lead_to(&format!("postgres:///x?host={}", second.0.display()));
        ask(&mut connect(&proxy).await, "Qhello").await.unwrap();
        assert_eq!(second.seen(), b"Qhello");
        drop(other);
    }
}
