//! `cargo xtask chaos`: a bad day for 8 runners and 4 spawners, and whether the promises held.
//!
//! The faults are decided by the seed (`plan`), carried out by the `nemesis`, and judged at the end (`check`, `recovery`, `coverage`) by
//! what jobs and spawners have written down (`ledger`, `acks`).

mod acks;
mod check;
mod clients;
mod coverage;
mod database;
mod dice;
mod facts;
mod kind;
mod ledger;
mod nemesis;
mod plan;
mod recovery;
pub mod spawner;
mod table;
mod watch;
mod without;
pub mod worker;

use crate::report::Report;
use anyhow::{Context, Result, bail};
use check::{Kinds, Violation};
use clients::Client;
use database::{Address, Database};
use nemesis::{Nemesis, now};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use without::Without;

/// What waits for a backoff, a delay or a commit is due in a few seconds; all else is stuck.
const DRAIN: Duration = Duration::from_secs(60);
/// How often a run says that it goes on.
const SAY_EVERY: Duration = Duration::from_secs(30);

/// Run a bad day: processes killed and paused, the network and the server failing
#[derive(clap::Args)]
pub struct Arguments {
    /// How long the faults go on.
    #[arg(long, default_value_t = 3.0)]
    minutes: f64,
    /// What the faults are decided from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Take a mechanism out, and expect violations; ends with the first that is seen.
    #[arg(long, value_enum)]
    without: Option<Without>,
}

/// The steps of `cargo xtask ci`: a short bad day, and one in which the checker must find something. Their seeds stay the same,
/// so that a red run can be repeated; others are for `cargo xtask chaos`.
pub fn steps(report: &mut Report) {
    let day = Arguments {
        minutes: 3.0,
        seed: 1,
        without: None,
    };
    report.step("chaos: 3 minutes", || run(&day));
    let blind = Arguments {
        without: Some(Without::Fence),
        ..day
    };
    report.step("chaos: without fence", || run(&blind));
}

/// What a run has found.
struct Outcome {
    violations: Vec<Violation>,
    took: Duration,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    if !(0.5..=1000.0).contains(&arguments.minutes) {
        bail!("--minutes is from 0.5 to 1000");
    }
    let folder = std::env::temp_dir().join(format!("chaos-{}", std::process::id()));
    std::fs::create_dir_all(&folder).with_context(|| format!("failed to make {}", folder.display()))?;
    let runtime = tokio::runtime::Runtime::new()?;
    let outcome = runtime.block_on(go(arguments, &folder))?;
    runtime.shutdown_background();
    let count = outcome.violations.len();
    match (arguments.without, count) {
        (None, 0) | (Some(_), 1..) => std::fs::remove_dir_all(&folder)?,
        _ => println!("the logs of all processes are in {}", folder.display()),
    }
    match (arguments.without, count) {
        (None, 0) => println!("no violations"),
        (None, count) => bail!("{count} violations, with --seed {}", arguments.seed),
        (Some(without), 0) => bail!("no violation was seen without {without:?}: the checker is blind"),
        (Some(without), _) => println!(
            "seen after {:.0?} without {without:?}, as it should be",
            outcome.took
        ),
    }
    Ok(())
}

async fn go(arguments: &Arguments, folder: &Path) -> Result<Outcome> {
    let started = Instant::now();
    let roles: Vec<String> = (0..plan::CLIENTS).map(clients::role).collect();
    let database = Database::start(&roles, arguments.without.map(Without::sql)).await?;
    let address = database.address();
    let clients = clients::start_all(&address, folder, arguments.seed).await?;
    let nemesis = Nemesis {
        clients,
        database: Arc::new(tokio::sync::Mutex::new(database)),
        address: address.clone(),
        journal: Arc::default(),
    };
    let seen = watch::Seen::default();
    let length = Duration::from_secs_f64(arguments.minutes * 60.0);
    let plan = match arguments.without {
        None => plan::plan(arguments.seed, length),
        Some(_) => plan::hunt(arguments.seed, length),
    };
    let mut complaints = Vec::new();
    let mut until = now();
    {
        let background = async {
            tokio::join!(
                watch::watch(address.clone(), Arc::clone(&seen)),
                database::keep_a_snapshot(address.clone()),
                say(address.clone()),
            )
        };
        let day = async {
            nemesis.run(plan).await;
            until = now();
            complaints = wind_down(&nemesis).await;
        };
        tokio::select! {
            // Dropped with the run: it only looks.
            _ = background => unreachable!("BUG: it goes on for ever"),
            // Nothing is left to do then.
            () = day => {}
            // Dropped, the processes end with their values.
            violation = first_double(&address), if arguments.without.is_some() => {
                let took = started.elapsed();
                println!("{}: {}", violation.kind, violation.text);
                return Ok(Outcome { violations: vec![violation], took });
            }
        }
    }
    let facts = facts::read(&mut address.connect().await?, folder).await?;
    let journal = std::mem::take(&mut *nemesis.journal.lock().expect("nobody panics with it"));
    let seen = std::mem::take(&mut *seen.lock().expect("nobody panics with it"));
    let samples = recovery::measure(&journal, &facts, seen.values(), until);
    let mut violations = check::judge(&facts);
    violations.extend(recovery::judge(&samples));
    violations.extend(recovery::judge_rows(&journal, seen.values()));
    violations.extend(coverage::judge(&facts, &samples));
    let failures = journal.complaints.iter().chain(&complaints);
    violations.extend(failures.map(|text| Violation::new(Kinds::Failed, text)));
    table::print(&facts, &journal, &samples, &violations);
    if !violations.is_empty() {
        std::fs::write(folder.join("server.log"), nemesis.database.lock().await.log())?;
        let all: Vec<String> = violations
            .iter()
            .map(|violation| format!("{}: {}\n", violation.kind, violation.text))
            .collect();
        std::fs::write(folder.join("violations.txt"), all.concat())?;
        std::fs::write(folder.join("journal.txt"), format!("{journal:#?}\n{seen:#?}"))?;
    }
    Ok(Outcome {
        violations,
        took: started.elapsed(),
    })
}

/// Stops the spawners, lets the runners do what is left, and stops them. Returns what did not go well.
async fn wind_down(nemesis: &Nemesis) -> Vec<String> {
    let (runners, spawners): (Vec<_>, Vec<_>) = nemesis
        .clients
        .iter()
        .cloned()
        .partition(|client| client.is_runner());
    let mut complaints = stop_all(spawners).await;
    let since = Instant::now();
    while since.elapsed() < DRAIN {
        let left = async { facts::left(&mut nemesis.address.connect().await?).await };
        match left.await {
            Ok(left) if left.is_empty() => break,
            Ok(_) => {}
            Err(error) => complaints.push(format!("{error:#}")),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // The queue must be empty before they stop, or jobs they give back would look like jobs nobody took.
    complaints.extend(stop_all(runners).await);
    complaints
}

async fn stop_all(clients: Vec<Arc<Client>>) -> Vec<String> {
    let mut stopping = tokio::task::JoinSet::new();
    for client in clients {
        stopping.spawn_blocking(move || client.stop());
    }
    let mut complaints = Vec::new();
    while let Some(stopped) = stopping.join_next().await {
        match stopped {
            Ok(Ok(())) => {}
            Ok(Err(error)) => complaints.push(format!("{error:#}")),
            Err(error) => complaints.push(error.to_string()),
        }
    }
    complaints
}

/// Returns when an effect is there twice.
async fn first_double(address: &Address) -> Violation {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let looked = async {
            let double: Option<(String, i32, i64)> = sqlx::query_as(
                "select id::text, step, count(*) from chaos_effects where step <> $1
                 group by id, step having count(*) > 1 limit 1",
            )
            .bind(kind::LOOSE_STEP)
            .fetch_optional(&mut address.connect().await?)
            .await?;
            anyhow::Ok(double)
        };
        if let Ok(Some((id, step, times))) = looked.await {
            let text = format!("{id} has the effect of step {step} {times} times");
            return Violation::new(Kinds::Double, text);
        }
    }
}

/// Says now and then how far it is.
async fn say(address: Address) {
    let started = Instant::now();
    loop {
        tokio::time::sleep(SAY_EVERY).await;
        let looked = async {
            let effects: i64 = sqlx::query_scalar("select count(*) from chaos_effects")
                .fetch_one(&mut address.connect().await?)
                .await?;
            anyhow::Ok(effects)
        };
        match looked.await {
            Ok(effects) => println!("{:>5.0?}  {effects} effects", started.elapsed()),
            Err(error) => println!("{:>5.0?}  {error:#}", started.elapsed()),
        }
    }
}
