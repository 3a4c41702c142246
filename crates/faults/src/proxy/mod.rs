//! [`Proxy`]: stands in front of the server and does to connections what networks do.

mod messages;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use messages::{Messages, Statements};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream, UnixStream, unix};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

/// How long neither end of a frozen connection hears that the other has closed it: until keepalives would have given up.
const FROZEN_FOR: Duration = Duration::from_secs(60);

/// What happens to a statement on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The server runs it, the client never hears of it: the connection is closed.
    AnswerLost,
    /// The server runs it, the client never hears of it nor of anything else: the connection stays open, and silent.
    AnswerSilent,
    /// The server never gets it, and the connection is closed.
    Lost,
    /// The server never gets it nor anything else: the connection stays open, and silent.
    Silent,
    /// The server gets it that much later.
    Late(Duration),
}

/// A proxy in front of one server. Its tasks end with the runtime.
#[derive(Debug, Clone)]
pub struct Proxy {
    port: u16,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    /// Where the server listens.
    socket: Mutex<String>,
    /// The statement that meets its fate next, by a part of its text.
    next: Mutex<Option<(&'static str, Fault)>>,
    /// How many did.
    met: watch::Sender<usize>,
    /// Connections of older generations are frozen: open, and silent.
    generation: watch::Sender<u64>,
    /// Connections of older epochs are closed.
    epoch: watch::Sender<u64>,
    is_closed: watch::Sender<bool>,
    /// What no connection survives, as a part of an answer.
    poison: Mutex<Option<&'static [u8]>>,
    /// How many answers to any statements are still to be lost.
    answers_to_lose: AtomicU64,
    /// What everything is held up for.
    delay_ms: AtomicU64,
    /// Bytes that clients have taken.
    answered: AtomicU64,
    /// Statements that were answered.
    statements: AtomicU64,
}

impl State {
    /// What happens to this statement.
    fn fault_of(&self, statement: &[u8]) -> Option<Fault> {
        let mut next = self.next.lock().expect("nothing panics under it");
        let is_it = |part: &str| {
            statement
                .windows(part.len())
                .any(|window| window == part.as_bytes())
        };
        let Some((_, fault)) = next.take_if(|(part, _)| is_it(part)) else {
            return self.takes_answer().then_some(Fault::AnswerLost);
        };
        // The server has yet to do the others.
        if !matches!(fault, Fault::AnswerLost | Fault::AnswerSilent) {
            self.has_met();
        }
        Some(fault)
    }

    /// Whether one more answer is to be lost.
    fn takes_answer(&self) -> bool {
        let take_one = |left: u64| left.checked_sub(1);
        self.answers_to_lose
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take_one)
            .is_ok()
    }

    fn is_poison(&self, answer: &[u8]) -> bool {
        let poison = *self.poison.lock().expect("nothing panics under it");
        poison.is_some_and(|part| answer.windows(part.len()).any(|window| window == part))
    }

    async fn hold_up(&self) {
        let delay = self.delay_ms.load(Ordering::Relaxed);
        if delay > 0 {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
    }

    fn has_met(&self) {
        self.met.send_modify(|met| *met += 1);
    }
}

impl Proxy {
    /// Starts a proxy for the server of this URL (one with a socket directory).
    ///
    /// # Panics
    ///
    /// If the URL has no `host=`, or the system no port.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn start(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let state = Arc::new(State {
            socket: Mutex::new(socket_of(url)),
            next: Mutex::default(),
            met: watch::Sender::new(0),
            generation: watch::Sender::new(0),
            epoch: watch::Sender::new(0),
            is_closed: watch::Sender::new(false),
            poison: Mutex::default(),
            answers_to_lose: AtomicU64::new(0),
            delay_ms: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            statements: AtomicU64::new(0),
        });
        let proxy = Self {
            port: listener.local_addr().expect("an address").port(),
            state: Arc::clone(&state),
        };
        let tasks = TaskTracker::new();
        tasks.clone().spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if *state.is_closed.borrow() {
                    continue;
                }
                let socket = state.socket.lock().expect("nothing panics under it").clone();
                // A server that is down refuses; so do we.
                if let Ok(server) = UnixStream::connect(socket).await {
                    tasks.spawn(serve(client, server, Arc::clone(&state)));
                }
            }
        });
        proxy
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
        *self.state.socket.lock().expect("nothing panics under it") = socket_of(url);
    }

    /// Decides what happens to the next statement with this text in it, whoever sends it.
    ///
    /// # Panics
    ///
    /// Never: nothing panics while it is noted.
    pub fn on_next(&self, statement: &'static str, fault: Fault) {
        *self.state.next.lock().expect("nothing panics under it") = Some((statement, fault));
    }

    /// Closes each connection over which an answer with these bytes would go, in front of it.
    ///
    /// # Panics
    ///
    /// Never, as [`on_next`](Self::on_next).
    pub fn poison(&self, part: &'static [u8]) {
        *self.state.poison.lock().expect("nothing panics under it") = Some(part);
    }

    /// Has the server carry out the next `count` statements whose answers are then lost, with their connections.
    pub fn lose_answers(&self, count: u64) {
        self.state.answers_to_lose.store(count, Ordering::Relaxed);
    }

    /// Holds up each message in both directions for so long; a statement is several. Zero: no longer.
    pub fn delay(&self, delay: Duration) {
        let delay = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.state.delay_ms.store(delay, Ordering::Relaxed);
    }

    /// Waits until that many statements have met their fate, for so long at most. Returns whether they have.
    ///
    /// What the server is to do with the last of them is done by then.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn has_met(&self, count: usize, patience: Duration) -> bool {
        let mut met = self.state.met.subscribe();
        let waited = tokio::time::timeout(patience, met.wait_for(|met| *met >= count)).await;
        waited.is_ok()
    }

    /// How many statements have met their fate so far.
    pub fn met(&self) -> usize {
        *self.state.met.borrow()
    }

    /// How many bytes of answers clients have taken off our hands.
    pub fn answered(&self) -> u64 {
        self.state.answered.load(Ordering::Relaxed)
    }

    /// How many statements were answered, to the end.
    pub fn statements(&self) -> u64 {
        self.state.statements.load(Ordering::Relaxed)
    }

    /// Closes all connections there are. New ones work.
    pub fn cut(&self) {
        self.state.epoch.send_modify(|epoch| *epoch += 1);
    }

    /// Freezes all connections there are: they stay open, and nothing comes through any more, not even that the other end
    /// has closed. New ones work.
    pub fn freeze(&self) {
        self.state.generation.send_modify(|generation| *generation += 1);
    }

    /// Freezes all connections and closes new ones at once.
    pub fn cut_off(&self) {
        self.state.is_closed.send_replace(true);
        self.freeze();
    }

    /// Lets everything through again, on new connections.
    ///
    /// # Panics
    ///
    /// Never, as [`on_next`](Self::on_next).
    pub fn heal(&self) {
        *self.state.next.lock().expect("nothing panics under it") = None;
        *self.state.poison.lock().expect("nothing panics under it") = None;
        self.lose_answers(0);
        self.delay(Duration::ZERO);
        self.state.is_closed.send_replace(false);
    }
}

fn socket_of(url: &str) -> String {
    let directory = url.split_once("host=").expect("a URL with a socket directory").1;
    let directory = directory.split('&').next().unwrap_or(directory);
    format!("{}/.s.PGSQL.5432", directory.replace("%2F", "/"))
}

/// What becomes of the answers to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answers {
    Forwarded,
    /// The next one is the last that is read, and is not forwarded.
    LostAfterNext,
    SilentAfterNext,
    Silent,
}

async fn serve(client: TcpStream, server: UnixStream, state: Arc<State>) {
    // An answer is several messages, which must not wait for each other's acknowledgements.
    let _ = client.set_nodelay(true);
    let (mut generation, mut epoch) = (state.generation.subscribe(), state.epoch.subscribe());
    let answers = watch::Sender::new(Answers::Forwarded);
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // Pinned, so that a frozen connection keeps its ends.
    let mut served = std::pin::pin!(async {
        tokio::select! {
            // The connection ends with either direction.
            () = requests(from_client, to_server, &state, &answers) => {}
            () = replies(from_server, to_client, &state, &answers) => {}
        }
    });
    tokio::select! {
        // Or something would still be served after it was frozen.
        biased;
        // A value that is watched is not lost. Both ends are closed.
        _ = epoch.changed() => {}
        // As above; neither read nor closed any more.
        _ = generation.changed() => tokio::time::sleep(FROZEN_FOR).await,
        // The connection ends with what it serves.
        () = &mut served => {}
    }
}

async fn requests(
    mut client: OwnedReadHalf,
    mut server: unix::OwnedWriteHalf,
    state: &State,
    answers: &watch::Sender<Answers>,
) {
    let (mut messages, mut statements) = (Messages::from_client(), Statements::default());
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = client.read(&mut buffer).await {
        messages.extend(&buffer[..length]);
        while let Some(message) = messages.next() {
            let fault = statements
                .run_by(&message)
                .and_then(|statement| state.fault_of(&statement));
            match fault {
                None => {}
                Some(Fault::Lost) => return,
                Some(Fault::Silent) => std::future::pending().await,
                Some(Fault::Late(pause)) => tokio::time::sleep(pause).await,
                Some(Fault::AnswerLost) => drop(answers.send_replace(Answers::LostAfterNext)),
                Some(Fault::AnswerSilent) => drop(answers.send_replace(Answers::SilentAfterNext)),
            }
            state.hold_up().await;
            if server.write_all(&message).await.is_err() {
                return;
            }
        }
    }
    // A client that has gone still has a server that answers it.
    if *answers.borrow() != Answers::Forwarded {
        std::future::pending().await
    }
}

async fn replies(
    mut server: unix::OwnedReadHalf,
    mut client: OwnedWriteHalf,
    state: &State,
    answers: &watch::Sender<Answers>,
) {
    let (mut messages, mut is_question_answered) = (Messages::from_server(), false);
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = server.read(&mut buffer).await {
        let mut bytes = &buffer[..length];
        if !is_question_answered {
            is_question_answered = true;
            if bytes[0] == b'N' && bytes.len() == 1 {
                if client.write_all(bytes).await.is_err() {
                    return;
                }
                bytes = &[];
            }
        }
        messages.extend(bytes);
        while let Some(message) = messages.next() {
            if state.is_poison(&message) {
                state.has_met();
                return;
            }
            let is_last = message[0] == b'Z';
            // Not inside of `match`: that would keep it borrowed.
            let becomes = *answers.borrow();
            match becomes {
                Answers::Forwarded => {}
                Answers::LostAfterNext if is_last => {
                    state.has_met();
                    return;
                }
                Answers::SilentAfterNext if is_last => {
                    state.has_met();
                    answers.send_replace(Answers::Silent);
                    continue;
                }
                Answers::LostAfterNext | Answers::SilentAfterNext | Answers::Silent => continue,
            }
            if is_last {
                state.hold_up().await;
            }
            if client.write_all(&message).await.is_err() {
                return;
            }
            state.answered.fetch_add(message.len() as u64, Ordering::Relaxed);
            state.statements.fetch_add(u64::from(is_last), Ordering::Relaxed);
        }
    }
}
