//! The program of the guide: how it is changed, built and run.

use super::{
    mistake::{End, Mistake},
    output::tidy,
};
use crate::shell;
use anyhow::{Context, Result, bail, ensure};
use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

const CHAPTER: &str = "crates/sqlxmq/src/guide/first_job.rs";

/// Longer than any of the programs takes.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Program {
    folder: PathBuf,
    source: String,
}

impl Program {
    /// Reads the program and makes a package for it, outside of the workspace as a newcomer's is.
    pub fn of_the_guide() -> Result<Self> {
        let chapter = fs::read_to_string(shell::root().join(CHAPTER))?;
        let code = chapter
            .split("//! ```no_run\n")
            .nth(1)
            .and_then(|rest| rest.split("//! ```\n").next())
            .context("the chapter has no program")?;
        let lines = code.lines().map(|line| line.trim_start_matches("//!"));
        let source: String = lines
            .map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line)))
            .collect();

        let folder = shell::target_dir().join("mistakes");
        fs::create_dir_all(folder.join("src"))?;
        fs::create_dir_all(folder.join("my_jobs/src"))?;
        let root = shell::root().display();
        let dependencies = format!(
            "serde = {{ version = \"1\", features = [\"derive\"] }}\nsqlx = {{ version = \"0.9\", default-features = false, features = \
             [\"postgres\", \"runtime-tokio\"] }}\nsqlxmq = {{ path = \"{root}/crates/sqlxmq\" }}\ntokio = {{ version = \"1\", features = \
             [\"full\"] }}\ntracing-subscriber = {{ version = \"0.3\", default-features = false, features = [\"fmt\"] }}\n"
        );
        let package = |name: &str, more: &str| {
            format!(
                "[package]\nname = \"{name}\"\nedition = \"2024\"\n\n[dependencies]\n{dependencies}{more}"
            )
        };
        fs::write(folder.join("my_jobs/Cargo.toml"), package("my_jobs", ""))?;
        let mine = "my_jobs = { path = \"my_jobs\" }\n\n[workspace]\n";
        fs::write(folder.join("Cargo.toml"), package("app", mine))?;
        fs::write(
            folder.join("my_jobs/src/lib.rs"),
            "#[sqlxmq::job]\npub async fn theirs() {}\n",
        )?;
        // The versions that everything else is tested with.
        fs::copy(shell::root().join("Cargo.lock"), folder.join("Cargo.lock"))?;
        Ok(Self { folder, source })
    }

    /// What the author of the mistake gets to see.
    pub fn seen(&self, server: &devpg::DevPg, number: usize, mistake: &Mistake) -> Result<String> {
        let mut source = self.source.clone();
        for (old, new) in mistake.changes {
            ensure!(
                source.contains(old),
                "the program of the guide has no `{old}` any more"
            );
            source = source.replacen(old, new, 1);
        }
        fs::write(self.folder.join("src/main.rs"), source)?;
        let mut build = shell::cargo("build --quiet --color never");
        build
            .current_dir(&self.folder)
            .env("CARGO_TARGET_DIR", shell::target_dir());
        let built = build.output().context("failed to run cargo")?;
        let mut text = tidy(&String::from_utf8_lossy(&built.stderr));
        if !built.status.success() || mistake.end == End::DoesNotCompile {
            ensure!(
                mistake.end == End::DoesNotCompile,
                "it was to compile, or the other way round:\n{text}"
            );
            return Ok(text);
        }
        let database = format!("mistake_{number}");
        create_database(server, &database)?;
        let url = match mistake.end {
            End::ExitsWithout(url) => url.to_owned(),
            End::ExitsWithoutDatabase(name) => server.url(name),
            _ => server.url(&database),
        };
        let app = Command::new(shell::target_dir().join("debug/app"))
            .env("DATABASE_URL", url)
            .env("NO_COLOR", "1")
            .env_remove("RUST_BACKTRACE")
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        text.push_str(&tidy(&watch(app, &mistake.end)?));
        Ok(text)
    }
}

fn create_database(server: &devpg::DevPg, name: &str) -> Result<()> {
    let (url, statement) = (server.url("postgres"), format!("create database {name}"));
    shell::block_on(async {
        use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
        let mut connection = PgConnection::connect(&url).await?;
        connection.execute(AssertSqlSafe(statement)).await?;
        Ok(connection.close().await?)
    })
}

/// Lets the program run to its end, and tells it to end when it has said what it was to say.
fn watch(mut app: Child, end: &End) -> Result<String> {
    let (lines, said) = mpsc::channel();
    for pipe in [
        app.stdout
            .take()
            .map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
        app.stderr
            .take()
            .map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
    ]
    .into_iter()
    .flatten()
    {
        let lines = lines.clone();
        thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                let _ = lines.send(line);
            }
        });
    }
    drop(lines);
    let started = Instant::now();
    let mut text = String::new();
    let mut last_words = match end {
        End::Says(words) => Some(*words),
        _ => None,
    };
    loop {
        let patience = match end {
            End::SaysNothingFor(pause) => *pause,
            _ => PATIENCE,
        };
        match said.recv_timeout(patience.saturating_sub(started.elapsed())) {
            Ok(line) => {
                if last_words.is_some_and(|words| line.contains(words)) {
                    last_words = None;
                    stop(&app)?;
                }
                text.push_str(&line);
                text.push('\n');
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                app.kill()?;
                app.wait()?;
                if matches!(end, End::SaysNothingFor(_)) {
                    break;
                }
                bail!("it did not end in {PATIENCE:?}:\n{text}");
            }
        }
    }
    app.wait()?;
    Ok(text)
}

fn stop(app: &Child) -> Result<()> {
    let told = Command::new("kill")
        .args(["-TERM", &app.id().to_string()])
        .status()?;
    ensure!(told.success(), "`kill` is of no use here");
    Ok(())
}
