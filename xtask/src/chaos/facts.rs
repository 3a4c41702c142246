//! What is there when a run is over: read from the ledger, the queue and the files of acknowledgements.

use super::acks::{self, Acknowledged};
use anyhow::{Context, Result};
use sqlx::{PgConnection, types::Uuid};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

/// Everything that is judged.
#[derive(Debug, Default)]
pub struct Facts {
    /// What the spawners were told.
    pub acknowledged: HashMap<Uuid, Acknowledged>,
    /// The jobs that were noted in the transactions that spawned them.
    pub noted: HashSet<Uuid>,
    /// The starts of each job, in order of time.
    pub starts: HashMap<Uuid, Vec<Start>>,
    /// The effects of each job.
    pub effects: HashMap<Uuid, Vec<Effect>>,
    /// The dead: attempts used, and when they died.
    pub dead: HashMap<Uuid, (i32, Duration)>,
    /// What is still in the queue and not dead, with what is known about it.
    pub left: Vec<(Uuid, String)>,
}

/// An attempt that began.
#[derive(Debug, Clone)]
pub struct Start {
    /// Which attempt.
    pub attempt: i32,
    /// In which process.
    pub process: u32,
    /// When, since 1970.
    pub at: Duration,
    /// The transactions that were over then.
    pub seen: Snapshot,
}

/// An effect that is there.
#[derive(Debug, Clone, Copy)]
pub struct Effect {
    /// Of which step.
    pub step: i32,
    /// The transaction that made it.
    pub xid: u64,
}

/// A PostgreSQL snapshot.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    xmin: u64,
    xmax: u64,
    in_progress: Vec<u64>,
}

impl Snapshot {
    /// Whether a transaction that has committed had done so by then.
    pub fn sees(&self, xid: u64) -> bool {
        xid < self.xmin || (xid < self.xmax && !self.in_progress.contains(&xid))
    }
}

impl std::str::FromStr for Snapshot {
    type Err = anyhow::Error;

    /// Reads `xmin:xmax:xid,xid`.
    fn from_str(text: &str) -> Result<Self> {
        let mut parts = text.split(':');
        let mut next = || parts.next().with_context(|| format!("not a snapshot: {text}"));
        let (xmin, xmax, list) = (next()?.parse()?, next()?.parse()?, next()?);
        let in_progress = list.split(',').filter(|xid| !xid.is_empty()).map(str::parse);
        Ok(Self {
            xmin,
            xmax,
            in_progress: in_progress.collect::<Result<_, _>>()?,
        })
    }
}

/// Reads everything.
pub async fn read(connection: &mut PgConnection, folder: &Path) -> Result<Facts> {
    let mut facts = Facts::default();
    for entry in std::fs::read_dir(folder)?.flatten() {
        if entry
            .path()
            .extension()
            .is_some_and(|extension| extension == "acks")
        {
            acks::read(&std::fs::read_to_string(entry.path())?, &mut facts.acknowledged)?;
        }
    }
    let noted: Vec<Uuid> = sqlx::query_scalar("select id from chaos_spawned")
        .fetch_all(&mut *connection)
        .await?;
    facts.noted = noted.into_iter().collect();
    let starts: Vec<(Uuid, i32, i64, f64, String)> = sqlx::query_as(
        "select id, attempt, process, extract(epoch from at)::float8, seen::text from chaos_starts order by at",
    )
    .fetch_all(&mut *connection)
    .await?;
    for (id, attempt, process, at, seen) in starts {
        let start = Start {
            attempt,
            process: u32::try_from(process)?,
            at: Duration::from_secs_f64(at),
            seen: seen.parse()?,
        };
        facts.starts.entry(id).or_default().push(start);
    }
    let effects: Vec<(Uuid, i32, String)> = sqlx::query_as("select id, step, xid::text from chaos_effects")
        .fetch_all(&mut *connection)
        .await?;
    for (id, step, xid) in effects {
        let effect = Effect {
            step,
            xid: xid.parse()?,
        };
        facts.effects.entry(id).or_default().push(effect);
    }
    let dead: Vec<(Uuid, i32, f64)> =
        sqlx::query_as("select id, attempts, extract(epoch from died_at)::float8 from mq_dead")
            .fetch_all(&mut *connection)
            .await?;
    facts.dead = dead
        .into_iter()
        .map(|(id, attempts, at)| (id, (attempts, Duration::from_secs_f64(at))))
        .collect();
    facts.left = left(connection).await?;
    Ok(facts)
}

/// What is in the queue and not dead.
pub async fn left(connection: &mut PgConnection) -> Result<Vec<(Uuid, String)>> {
    let sql = "
select j.id, concat_ws(', ',
  case when h.id is not null then 'held until ' || h.expires_at end,
  case when s.id is not null then 'due at ' || s.due_at end,
  case when y.id is not null then 'ready' end,
  case when r.id is not null then 'running in ' || coalesce(u.description, 'nobody') end,
  case when l.id is not null then 'in line' end)
from mq_jobs as j
left join mq_held as h using (id) left join mq_scheduled as s using (id) left join mq_ready_jobs as y using (id)
left join mq_running as r using (id) left join mq_runners as u on u.runner = r.runner left join mq_line as l using (id)
where not exists (select from mq_dead as d where d.id = j.id)";
    Ok(sqlx::query_as(sql).fetch_all(connection).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_sees_what_was_over() {
        let snapshot: Snapshot = "10:20:12,15".parse().unwrap();
        for (xid, seen) in [
            (9, true),
            (10, true),
            (12, false),
            (13, true),
            (19, true),
            (20, false),
        ] {
            assert_eq!(snapshot.sees(xid), seen, "{xid}");
        }
        assert!("1:2:".parse::<Snapshot>().is_ok());
        assert!("1".parse::<Snapshot>().is_err());
    }
}
