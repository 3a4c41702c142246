//! The file in which a spawner notes what it was told. What is not written here was never acknowledged.
//!
//! One line an event, in one write, before anything is done about it: a process that is killed leaves whole lines.

use super::kind::Kind;
use anyhow::{Context, Result};
use sqlx::types::Uuid;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How a spawn is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spawn {
    /// What the job does.
    pub kind: Kind,
    /// The channel in which it is ordered.
    pub ordered_in: Option<u64>,
    /// Its delay.
    pub delay_ms: u64,
    /// Its commit interval. 0: none.
    pub interval_ms: u64,
    /// Whether it is noted in the ledger in the transaction that spawns it.
    pub is_noted: bool,
}

/// How a spawn, or the commit of one, has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Outcome {
    /// It was not begun.
    #[default]
    None,
    /// It was begun: nobody was told what became of it.
    Unknown,
    /// It was acknowledged, at this time.
    Acknowledged(Duration),
    /// It certainly did not happen.
    Refused,
}

/// What one spawner knows about one job.
#[derive(Debug, Clone, Copy)]
pub struct Acknowledged {
    /// How it was spawned.
    pub spawn: Spawn,
    /// When the spawn began, since 1970.
    pub began: Duration,
    /// How the spawn ended.
    pub spawned: Outcome,
    /// How the commit ended, of a job with a commit interval.
    pub committed: Outcome,
}

/// Writes the file.
#[derive(Debug)]
pub struct Acks(File);

impl Acks {
    /// Starts a file.
    pub fn create(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        Ok(Self(
            file.with_context(|| format!("failed to make {}", path.display()))?,
        ))
    }

    /// To be written before the spawn is sent.
    pub fn spawns(&mut self, id: Uuid, spawn: &Spawn) -> Result<()> {
        let Spawn {
            kind,
            ordered_in,
            delay_ms,
            interval_ms,
            is_noted,
        } = spawn;
        let channel = ordered_in.map_or_else(|| "-".to_owned(), |channel| channel.to_string());
        self.write(
            "spawns",
            id,
            &format!("{kind} {channel} {delay_ms} {interval_ms} {is_noted}"),
        )
    }

    /// The spawn was acknowledged.
    pub fn spawned(&mut self, id: Uuid) -> Result<()> {
        self.write("spawned", id, "")
    }

    /// The spawn certainly did not happen.
    pub fn not_spawned(&mut self, id: Uuid) -> Result<()> {
        self.write("not-spawned", id, "")
    }

    /// To be written before the commit is sent.
    pub fn commits(&mut self, id: Uuid) -> Result<()> {
        self.write("commits", id, "")
    }

    /// The commit was acknowledged.
    pub fn committed(&mut self, id: Uuid) -> Result<()> {
        self.write("committed", id, "")
    }

    /// The commit came too late.
    pub fn not_committed(&mut self, id: Uuid) -> Result<()> {
        self.write("not-committed", id, "")
    }

    fn write(&mut self, event: &str, id: Uuid, more: &str) -> Result<()> {
        let at = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros();
        let line = format!("{event} {id} {at} {more}\n");
        Ok(self.0.write_all(line.as_bytes())?)
    }
}

/// Reads a file to its last whole line.
pub fn read(text: &str, into: &mut HashMap<Uuid, Acknowledged>) -> Result<()> {
    for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        read_line(line, into).with_context(|| format!("not a line of acknowledgements: {line:?}"))?;
    }
    Ok(())
}

fn read_line(line: &str, into: &mut HashMap<Uuid, Acknowledged>) -> Result<()> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [event, id, at, more @ ..] = &words[..] else {
        anyhow::bail!("too few words");
    };
    let (id, at): (Uuid, _) = (id.parse()?, Duration::from_micros(at.parse()?));
    if *event == "spawns" {
        let [kind, channel, delay_ms, interval_ms, is_noted] = more else {
            anyhow::bail!("too few words");
        };
        let spawn = Spawn {
            kind: kind.parse()?,
            ordered_in: channel.parse().ok(),
            delay_ms: delay_ms.parse()?,
            interval_ms: interval_ms.parse()?,
            is_noted: is_noted.parse()?,
        };
        let job = Acknowledged {
            spawn,
            began: at,
            spawned: Outcome::Unknown,
            committed: Outcome::None,
        };
        into.insert(id, job);
        return Ok(());
    }
    let job = into.get_mut(&id).context("an event before its spawn")?;
    match *event {
        "spawned" => job.spawned = Outcome::Acknowledged(at),
        "not-spawned" => job.spawned = Outcome::Refused,
        "commits" => job.committed = Outcome::Unknown,
        "committed" => job.committed = Outcome::Acknowledged(at),
        "not-committed" => job.committed = Outcome::Refused,
        other => anyhow::bail!("no such event: {other}"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_a_torn_line_is_not() {
        let path = std::env::temp_dir().join(format!("chaos-acks-{}", std::process::id()));
        let [lost, kept] = [1, 2].map(Uuid::from_u128);
        let spawn = Spawn {
            kind: Kind::Slow,
            ordered_in: Some(3),
            delay_ms: 7,
            interval_ms: 9,
            is_noted: true,
        };
        let mut acks = Acks::create(&path).unwrap();
        acks.spawns(lost, &spawn).unwrap();
        acks.spawns(
            kept,
            &Spawn {
                ordered_in: None,
                ..spawn
            },
        )
        .unwrap();
        acks.spawned(kept).unwrap();
        acks.commits(kept).unwrap();
        acks.not_committed(kept).unwrap();
        acks.spawned(lost).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let mut jobs = HashMap::new();
        read(&text[..text.len() - 1], &mut jobs).unwrap();
        assert_eq!(
            (jobs[&lost].spawn, jobs[&lost].spawned),
            (spawn, Outcome::Unknown)
        );
        assert_eq!(jobs[&kept].spawn.ordered_in, None);
        assert!(matches!(jobs[&kept].spawned, Outcome::Acknowledged(_)));
        assert_eq!(jobs[&kept].committed, Outcome::Refused);
    }
}
