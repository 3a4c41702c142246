//! The program itself: it serves, it runs jobs, and it ends when it is told to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use devpg::TestDb;

/// Ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn request(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "{request}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[tokio::test]
async fn the_program_runs_the_jobs_of_its_requests_and_ends_on_a_signal() {
    let database = TestDb::create(sqlxmq::migrator()).await;
    let mut process = Process(
        Command::new(env!("CARGO_BIN_EXE_example-app"))
            .env("DATABASE_URL", database.url())
            .env("ADDRESS", "127.0.0.1:0")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut lines = BufReader::new(process.0.stdout.take().unwrap()).lines();
    let mut next_line = || lines.next().unwrap().unwrap();
    let listening = next_line();
    let address = listening.strip_prefix("listening on ").unwrap();

    let body = r#"{"email": "ada@example.org"}"#;
    let signed_up = request(
        address,
        &format!(
            "POST /sign-up HTTP/1.0\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ),
    );
    assert!(signed_up.starts_with("HTTP/1.0 201"), "{signed_up}");
    assert_eq!(next_line(), "to ada@example.org: Welcome!");
    // The runner has claimed a job, so it is well.
    let health = request(address, "GET /health HTTP/1.0\r\n\r\n");
    assert!(health.starts_with("HTTP/1.0 200"), "{health}");

    let killed = Command::new("kill")
        .arg(process.0.id().to_string())
        .status()
        .unwrap();
    assert!(killed.success());
    assert_eq!(next_line(), "all jobs have ended");
    assert!(process.0.wait().unwrap().success());
}
