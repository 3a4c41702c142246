//! The runner and spawner processes, each behind a proxy of its own.

use super::database::Address;
use super::plan::{CLIENTS, RUNNERS};
use anyhow::{Context, Result, bail};
use faults::{Process, Proxy};
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// A runner waits 10 s for its jobs, a spawner for its last statements.
const GOODBYE: Duration = Duration::from_secs(30);

/// A process that is replaced when it is killed, and the proxy that stays.
#[derive(Debug)]
pub struct Client {
    /// Which one it is. Runners come first.
    pub number: usize,
    /// Whom it logs in as.
    pub role: String,
    /// What is between it and the server.
    pub proxy: Proxy,
    process: Mutex<Running>,
    folder: PathBuf,
    address: Address,
    seed: u64,
}

#[derive(Debug)]
struct Running {
    process: Process,
    /// How many there have been.
    generation: u64,
}

impl Client {
    /// Whether it runs jobs.
    pub fn is_runner(&self) -> bool {
        self.number < RUNNERS
    }

    /// The process there is.
    pub fn id(&self) -> u32 {
        self.running().process.id()
    }

    /// Kills the process and starts another. Returns the id of the one that was killed.
    pub fn replace(&self) -> Result<u32> {
        let mut running = self.running();
        if let Some(status) = running.process.try_wait()? {
            bail!("{} ended by itself: {status}", self.role);
        }
        let id = running.process.id();
        running.process.kill()?;
        let generation = running.generation + 1;
        *running = Running {
            process: self.start(generation)?,
            generation,
        };
        Ok(id)
    }

    /// Asks it to end, and waits.
    pub fn stop(&self) -> Result<()> {
        let mut running = self.running();
        running.process.let_go();
        let status: ExitStatus = running
            .process
            .wait(GOODBYE)?
            .with_context(|| format!("{} does not stop", self.role))?;
        if !status.success() {
            bail!("{} ended with {status}", self.role);
        }
        Ok(())
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.process.lock().expect("nobody panics with it")
    }

    fn start(&self, generation: u64) -> Result<Process> {
        let url = self.proxy.url_as(&self.role, &self.address.url());
        start(&self.role, &url, &self.folder, self.number, generation, self.seed)
    }
}

/// Starts all clients.
pub async fn start_all(address: &Address, folder: &Path, seed: u64) -> Result<Vec<Arc<Client>>> {
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let proxy = Proxy::start(&address.url()).await;
        let role = role(number);
        let url = proxy.url_as(&role, &address.url());
        let process = start(&role, &url, folder, number, 0, seed)?;
        clients.push(Arc::new(Client {
            number,
            role,
            proxy,
            process: Mutex::new(Running {
                process,
                generation: 0,
            }),
            folder: folder.to_owned(),
            address: address.clone(),
            seed,
        }));
    }
    Ok(clients)
}

/// Whom a client logs in as.
pub fn role(number: usize) -> String {
    match number < RUNNERS {
        true => format!("runner_{number}"),
        false => format!("spawner_{}", number - RUNNERS),
    }
}

fn start(role: &str, url: &str, folder: &Path, number: usize, generation: u64, seed: u64) -> Result<Process> {
    let log: File = OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join(format!("{role}.log")))?;
    let mut command = Command::new(std::env::current_exe()?);
    if number < RUNNERS {
        command.args(["chaos-runner", "--url", url]);
    } else {
        let acks = folder.join(format!("{role}-{generation}.acks"));
        let seed = seed ^ ((number as u64) << 32) ^ (generation << 40);
        command.args(["chaos-spawner", "--url", url, "--seed", &seed.to_string()]);
        command.arg("--acks").arg(acks);
    }
    // Most errors here are as planned, and not worth the time.
    command
        .env_remove("RUST_BACKTRACE")
        .stdout(log.try_clone()?)
        .stderr(log);
    Process::start(&mut command).with_context(|| format!("failed to start {role}"))
}
