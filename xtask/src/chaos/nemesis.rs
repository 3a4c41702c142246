//! Carries out the plan, and notes what it did and when.

use super::clients::Client;
use super::database::{Address, Database, terminate_one};
use super::plan::Fault;
use super::worker::LEASE;
use anyhow::Result;
use faults::Process;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::Mutex as AsyncMutex;
use tokio_util::task::TaskTracker;

/// How often the answers are lost by one fault, of COMMITs and of other statements.
const ANSWERS: u64 = 2;

/// How long after the end of its lease a completion arrives: the job has been given to another runner by then.
const LATE: Duration = Duration::from_millis(1500);

/// What kind of recovery is measured after a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Recovery {
    /// Until no running row of the killed or paused process is left.
    GivenBack(Lost),
    /// Until the process starts a job again.
    ProcessStarts(Hit),
    /// Until any process starts a job again.
    AnyStarts(Down),
}

/// Why a process lost its jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lost {
    Killed,
    Paused,
}

/// What happened to a process that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hit {
    Replaced,
    Continued,
    Terminated,
    Cut,
    Delayed,
    HalfOpen,
    AnswerLost,
}

/// What happened to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Down {
    Restart,
    Failover,
}

/// A fault that was made.
#[derive(Debug, Clone, Copy)]
pub struct Event {
    /// When it was made, or when it ended if recovery can only begin then. Since 1970.
    pub at: Duration,
    /// What started before this is no sign of recovery.
    pub after: Duration,
    /// What is measured from there.
    pub recovery: Recovery,
    /// The process. 0: all of them.
    pub process: u32,
}

/// What was done.
#[derive(Debug, Default)]
pub struct Journal {
    /// All faults, in any order.
    pub events: Vec<Event>,
    /// When the server was not there: from, to.
    pub outages: Vec<(Duration, Duration)>,
    /// When a process was not there, or not to go on: which, from.
    pub ends: Vec<(u32, Duration)>,
    /// What must not have happened.
    pub complaints: Vec<String>,
    /// Faults that were meant for a process or connection that was not there.
    pub missed: usize,
}

/// The hand that does it.
#[derive(Clone)]
pub struct Nemesis {
    /// Whom it does it to.
    pub clients: Vec<Arc<Client>>,
    /// And the server.
    pub database: Arc<AsyncMutex<Database>>,
    /// Where that is.
    pub address: Address,
    /// What it has done.
    pub journal: Arc<Mutex<Journal>>,
}

/// The time since 1970, which processes and the server of this machine share.
pub fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock that is set")
}

impl Nemesis {
    /// Carries out the plan. Returns when everything is over that it began.
    pub async fn run(&self, plan: Vec<(Duration, Fault)>) {
        let started = tokio::time::Instant::now();
        let tasks = TaskTracker::new();
        for (at, fault) in plan {
            tokio::time::sleep_until(started + at).await;
            let nemesis = self.clone();
            tasks.spawn(async move {
                if let Err(error) = nemesis.make(fault.clone()).await {
                    nemesis.complain(format!("{fault:?}: {error:#}"));
                }
            });
        }
        tasks.close();
        tasks.wait().await;
        for client in &self.clients {
            client.proxy.heal();
        }
    }

    async fn make(&self, fault: Fault) -> Result<()> {
        match fault {
            Fault::Kill { client } => {
                let client = Arc::clone(&self.clients[client]);
                let is_runner = client.is_runner();
                let at = now();
                let killed = Arc::clone(&client);
                let process = tokio::task::spawn_blocking(move || killed.replace()).await??;
                self.journal().ends.push((process, at));
                if is_runner {
                    self.note(at, Recovery::GivenBack(Lost::Killed), process);
                    self.note(at, Recovery::ProcessStarts(Hit::Replaced), client.id());
                }
            }
            Fault::Pause { client, length } => {
                let process = self.clients[client].id();
                let at = now();
                let paused = tokio::task::spawn_blocking(move || Process::pause(process, length)).await?;
                // It may have been killed in that state.
                self.journal().ends.push((process, at));
                self.note(at, Recovery::GivenBack(Lost::Paused), process);
                if paused.is_ok() {
                    self.note(now(), Recovery::ProcessStarts(Hit::Continued), process);
                }
            }
            Fault::Terminate { client } => {
                let client = &self.clients[client];
                let at = now();
                let terminated =
                    async { terminate_one(&mut self.address.connect().await?, &client.role).await };
                match terminated.await {
                    Ok(true) => self.hit(at, Hit::Terminated, client),
                    Ok(false) | Err(_) => self.journal().missed += 1,
                }
            }
            Fault::Cut { clients } => self.hit_all(&clients, Hit::Cut, |client| client.proxy.cut()),
            Fault::HalfOpen { clients } => {
                self.hit_all(&clients, Hit::HalfOpen, |client| client.proxy.freeze());
            }
            Fault::LoseAnswers { clients } => self.hit_all(&clients, Hit::AnswerLost, |client| {
                client.proxy.on_next("COMMIT", faults::Fault::AnswerLost);
                client.proxy.lose_answers(ANSWERS);
            }),
            Fault::Delay {
                client,
                delay,
                length,
            } => {
                let client = &self.clients[client];
                self.journal().ends.push((client.id(), now()));
                client.proxy.delay(delay);
                tokio::time::sleep(length).await;
                client.proxy.delay(Duration::ZERO);
                self.hit(now(), Hit::Delayed, client);
            }
            Fault::LateCompletion { client } => {
                let client = &self.clients[client];
                self.journal().ends.push((client.id(), now()));
                let proxy = &client.proxy;
                let met = proxy.met();
                proxy.on_next("mq_complete", faults::Fault::Late(LEASE + LATE));
                if proxy.has_met(met + 1, LEASE).await {
                    // What is held up from here on arrives after the lease as well. New statements don't, once it is over.
                    proxy.delay(LEASE + LATE);
                    tokio::time::sleep(LEASE).await;
                }
                proxy.heal();
            }
            Fault::Restart => {
                let mut database = self.database.lock().await;
                let from = now();
                database.restart().await?;
                let to = now();
                self.note(to, Recovery::AnyStarts(Down::Restart), 0);
                self.journal().outages.push((from, to));
            }
            Fault::Failover => {
                let mut database = self.database.lock().await;
                let from = now();
                let dead = database.fail_over().await?;
                for client in &self.clients {
                    client.proxy.lead_to(&self.address.url());
                }
                let event = Event {
                    at: from,
                    after: dead,
                    recovery: Recovery::AnyStarts(Down::Failover),
                    process: 0,
                };
                let mut journal = self.journal();
                journal.events.push(event);
                journal.outages.push((from, now()));
            }
        }
        Ok(())
    }

    fn hit_all(&self, clients: &[usize], how: Hit, hit: impl Fn(&Client)) {
        for &number in clients {
            let client = &self.clients[number];
            let at = now();
            hit(client);
            self.hit(at, how, client);
        }
    }

    fn hit(&self, at: Duration, hit: Hit, client: &Client) {
        // A spawner's recovery is its own business: it runs no jobs.
        if client.is_runner() {
            self.note(at, Recovery::ProcessStarts(hit), client.id());
        }
    }

    fn note(&self, at: Duration, recovery: Recovery, process: u32) {
        let event = Event {
            at,
            after: at,
            recovery,
            process,
        };
        self.journal().events.push(event);
    }

    /// Notes what must not have happened.
    pub fn complain(&self, complaint: String) {
        self.journal().complaints.push(complaint);
    }

    fn journal(&self) -> std::sync::MutexGuard<'_, Journal> {
        self.journal.lock().expect("nobody panics with it")
    }
}
