//! The proxy in front of a server that answers everything.

use super::*;
use std::path::PathBuf;
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
    /// The last statement that the server got.
    fn seen(&self) -> String {
        String::from_utf8(std::fs::read(self.0.join("seen")).unwrap()).unwrap()
    }
}

/// A server that answers each statement with its end.
async fn server() -> (Folder, Proxy) {
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
                let (mut messages, mut buffer) = (Messages::from_client(), [0; 1024]);
                while let Ok(length @ 1..) = server.read(&mut buffer).await {
                    messages.extend(&buffer[..length]);
                    while let Some(message) = messages.next() {
                        if message[0] != b'Q' {
                            continue;
                        }
                        std::fs::write(&seen, &message[5..message.len() - 1]).unwrap();
                        if server.write_all(b"Z\0\0\0\x05I").await.is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    let url = format!("postgres://postgres@localhost/x?host={}", directory.display());
    (Folder(directory), Proxy::start(&url).await)
}

async fn connect(proxy: &Proxy) -> TcpStream {
    let mut client = TcpStream::connect(("127.0.0.1", proxy.port)).await.unwrap();
    client
        .write_all(&[0, 0, 0, 9, 0, 3, 0, 0, 0])
        .await
        .expect("a start");
    client
}

/// Whether an answer comes. Not: the connection is closed.
async fn ask(client: &mut TcpStream, statement: &str) -> bool {
    let length = u32::try_from(statement.len() + 5).unwrap().to_be_bytes();
    let message = [b"Q", &length[..], statement.as_bytes(), b"\0"].concat();
    let mut buffer = [0; 1024];
    client.write_all(&message).await.is_ok() && matches!(client.read(&mut buffer).await, Ok(1..))
}

/// Whether neither an answer comes nor an end.
async fn is_silent(client: &mut TcpStream, statement: &str) -> bool {
    tokio::time::timeout(Duration::from_millis(300), ask(client, statement))
        .await
        .is_err()
}

#[tokio::test]
async fn a_cut_closes_what_there_is_and_lets_new_connections_through() {
    let (_folder, proxy) = server().await;
    let mut client = connect(&proxy).await;
    assert!(ask(&mut client, "hello").await);
    proxy.cut();
    assert!(!ask(&mut client, "hello").await);
    assert!(ask(&mut connect(&proxy).await, "again").await);
}

#[tokio::test]
async fn a_frozen_connection_stays_open_and_silent() {
    let (_folder, proxy) = server().await;
    let mut client = connect(&proxy).await;
    assert!(ask(&mut client, "hello").await);
    proxy.freeze();
    assert!(is_silent(&mut client, "hello").await);
    assert!(ask(&mut connect(&proxy).await, "again").await);
}

#[tokio::test]
async fn a_lost_answer_is_one_to_something_that_was_done() {
    let (folder, proxy) = server().await;
    proxy.lose_answers(1);
    assert!(!ask(&mut connect(&proxy).await, "insert").await);
    assert_eq!(folder.seen(), "insert");
    assert!(ask(&mut connect(&proxy).await, "insert").await);
    proxy.on_next("COMMIT", Fault::AnswerSilent);
    assert!(ask(&mut connect(&proxy).await, "begin").await);
    assert!(is_silent(&mut connect(&proxy).await, "COMMIT").await);
    assert_eq!(folder.seen(), "COMMIT");
    proxy.on_next("again", Fault::Lost);
    assert!(!ask(&mut connect(&proxy).await, "again").await);
    assert_eq!(folder.seen(), "COMMIT");
}

#[tokio::test]
async fn a_delay_holds_up_both_directions_until_it_is_lifted() {
    let (_folder, proxy) = server().await;
    let mut client = connect(&proxy).await;
    assert!(ask(&mut client, "hello").await);
    proxy.delay(Duration::from_millis(100));
    let since = Instant::now();
    assert!(ask(&mut client, "hello").await);
    assert!(since.elapsed() >= Duration::from_millis(200));
    proxy.heal();
    let since = Instant::now();
    assert!(ask(&mut client, "hello").await);
    assert!(since.elapsed() < Duration::from_millis(100));
}

#[tokio::test]
async fn an_answer_that_is_poison_ends_each_connection_until_it_is_healed() {
    let (_folder, proxy) = server().await;
    // As each answer ends.
    proxy.poison(b"\x05I");
    assert!(!ask(&mut connect(&proxy).await, "hello").await);
    assert!(!ask(&mut connect(&proxy).await, "hello").await);
    assert_eq!(proxy.met(), 2);
    proxy.heal();
    assert!(ask(&mut connect(&proxy).await, "hello").await);
}

#[tokio::test]
async fn new_connections_are_led_to_the_other_server() {
    let (_folder, proxy) = server().await;
    let (other, _) = server().await;
    proxy.lead_to(&format!("postgres:///x?host={}", other.0.display()));
    assert!(ask(&mut connect(&proxy).await, "hello").await);
    assert_eq!(other.seen(), "hello");
}
