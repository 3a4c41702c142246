//! What a run cost: processor time of client and server apart, and write-ahead log.

use super::{child::Child, site::Database};
use anyhow::{Context, Result};
use std::{fs, time::Instant};

/// Ticks of `/proc/*/stat` in a second: `sysconf(_SC_CLK_TCK)`, which is 100 on every Linux that we know of.
const TICKS_PER_SECOND: f64 = 100.0;

/// What has been used since some moment.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    pub seconds: f64,
    pub client_cpu_seconds: f64,
    pub server_cpu_seconds: f64,
    pub wal_bytes: f64,
}

/// What had been used at that moment.
pub struct Meter<'a> {
    database: &'a Database<'a>,
    postmaster: u32,
    at: Instant,
    server: u64,
    client: u64,
    wal: i64,
}

impl<'a> Meter<'a> {
    pub fn start(database: &'a Database<'a>, clients: &[Child]) -> Result<Self> {
        let postmaster = database.site().postmaster()?;
        Ok(Self {
            database,
            postmaster,
            wal: wal(database)?,
            server: ticks_of_server(postmaster)?,
            client: ticks_of_clients(clients)?,
            at: Instant::now(),
        })
    }

    pub fn stop(self, clients: &[Child]) -> Result<Cost> {
        let seconds = self.at.elapsed().as_secs_f64();
        let client = ticks_of_clients(clients)?.saturating_sub(self.client);
        let server = ticks_of_server(self.postmaster)?.saturating_sub(self.server);
        Ok(Cost {
            seconds,
            client_cpu_seconds: client as f64 / TICKS_PER_SECOND,
            server_cpu_seconds: server as f64 / TICKS_PER_SECOND,
            wal_bytes: (wal(self.database)? - self.wal) as f64,
        })
    }
}

fn wal(database: &Database) -> Result<i64> {
    database.number("select (pg_current_wal_insert_lsn() - '0/0')::bigint")
}

fn ticks_of_clients(clients: &[Child]) -> Result<u64> {
    clients.iter().map(|client| Ok(stat(client.id())?.own)).sum()
}

/// The postmaster, its living children, and those that it has buried: they are in its account.
fn ticks_of_server(postmaster: u32) -> Result<u64> {
    let parent = stat(postmaster)?;
    let mut ticks = parent.own + parent.buried;
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(process) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // One that has just ended is not there any more.
        if let Ok(child) = stat(process)
            && child.parent == postmaster
        {
            ticks += child.own;
        }
    }
    Ok(ticks)
}

struct Stat {
    parent: u32,
    /// In user and kernel mode, all threads, also of a process that has ended and was not waited for.
    own: u64,
    /// Of children that were waited for.
    buried: u64,
}

fn stat(process: u32) -> Result<Stat> {
    let line = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name in parentheses may hold anything; the fields after it are counted from the state, which is the third.
    let (_, rest) = line.rsplit_once(')').context("a strange /proc/*/stat")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let field = |number: usize| -> Result<u64> {
        let text = fields.get(number - 3).context("a short /proc/*/stat")?;
        Ok(text.parse()?)
    };
    Ok(Stat {
        parent: u32::try_from(field(4)?)?,
        own: field(14)? + field(15)?,
        buried: field(16)? + field(17)?,
    })
}
