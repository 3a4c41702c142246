//! The checker: what must hold when a run is over. Pure.

use super::acks::{Acknowledged, Outcome};
use super::facts::{Facts, Start};
use super::kind::Kind;
use sqlx::types::Uuid;
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

/// How a promise can be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kinds {
    /// Acknowledged, and no effect.
    Lost,
    /// An effect that is there more than once.
    Double,
    /// Started before one that it had to wait for had ended.
    Inversion,
    /// Still there when all have had their time.
    Stuck,
    /// Ran although it was never spawned, or never committed.
    Spurious,
    /// Started before its delay was over.
    Early,
    /// More attempts than it has.
    Attempts,
    /// Running for longer than lease + 2 s without a living runner.
    Stale,
    /// Recovery took longer than is promised.
    Slow,
    /// A process or the harness failed.
    Failed,
}

impl Kinds {
    /// All of them, as they are listed.
    pub const ALL: [Kinds; 10] = [
        Kinds::Lost,
        Kinds::Double,
        Kinds::Inversion,
        Kinds::Stuck,
        Kinds::Spurious,
        Kinds::Early,
        Kinds::Attempts,
        Kinds::Stale,
        Kinds::Slow,
        Kinds::Failed,
    ];
}

impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kinds::Lost => "lost",
            Kinds::Double => "double",
            Kinds::Inversion => "inversions",
            Kinds::Stuck => "stuck",
            Kinds::Spurious => "ran without being spawned",
            Kinds::Early => "before their delay",
            Kinds::Attempts => "attempts out of bounds",
            Kinds::Stale => "running rows older than lease + 2 s",
            Kinds::Slow => "recoveries out of bounds",
            Kinds::Failed => "processes that failed",
        })
    }
}

/// A broken promise.
#[derive(Debug, Clone)]
pub struct Violation {
    /// Which.
    pub kind: Kinds,
    /// What was seen.
    pub text: String,
}

impl Violation {
    /// A violation, in words.
    pub fn new(kind: Kinds, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
        }
    }
}

/// Whether a job must have run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Duty {
    Must,
    /// Nobody was told: wholly or not at all.
    May,
    MustNot,
}

/// Returns all violations that the facts show.
pub fn judge(facts: &Facts) -> Vec<Violation> {
    let mut found = Vec::new();
    for (id, job) in &facts.acknowledged {
        judge_job(facts, *id, job, &mut found);
    }
    for id in facts.starts.keys().chain(facts.effects.keys()) {
        if !facts.acknowledged.contains_key(id) {
            found.push(Violation::new(Kinds::Spurious, format!("{id} is nobody's job")));
        }
    }
    for (id, state) in &facts.left {
        let job = facts.acknowledged.get(id);
        found.push(Violation::new(Kinds::Stuck, format!("{id} is {state}: {job:?}")));
    }
    judge_order(facts, &mut found);
    found
}

fn duty(facts: &Facts, id: Uuid, job: &Acknowledged) -> Duty {
    let spawned = match job.spawned {
        Outcome::Acknowledged(_) => Duty::Must,
        Outcome::None | Outcome::Refused => Duty::MustNot,
        // The note was committed with the spawn, or neither was.
        Outcome::Unknown if job.spawn.is_noted && facts.noted.contains(&id) => Duty::Must,
        Outcome::Unknown if job.spawn.is_noted => Duty::MustNot,
        Outcome::Unknown => Duty::May,
    };
    if job.spawn.interval_ms == 0 {
        return spawned;
    }
    match (spawned, job.committed) {
        (Duty::MustNot, _) | (_, Outcome::None | Outcome::Refused) => Duty::MustNot,
        (_, Outcome::Unknown) => Duty::May,
        (_, Outcome::Acknowledged(_)) => spawned,
    }
}

fn judge_job(facts: &Facts, id: Uuid, job: &Acknowledged, found: &mut Vec<Violation>) {
    let kind = job.spawn.kind;
    let starts = facts.starts.get(&id).map_or(&[][..], Vec::as_slice);
    let effects = facts.effects.get(&id).map_or(&[][..], Vec::as_slice);
    let dead = facts.dead.get(&id);
    let mut say = |kind, text: String| {
        let text = format!("{id} {text}: {job:?}, starts {starts:?}, effects {effects:?}");
        found.push(Violation::new(kind, text));
    };

    let has_run = !starts.is_empty() || !effects.is_empty() || dead.is_some();
    let duty = duty(facts, id, job);
    let is_left = facts.left.iter().any(|(left, _)| *left == id);
    if has_run && duty == Duty::MustNot {
        say(Kinds::Spurious, format!("ran, {} times", starts.len()));
    }
    for &step in kind.steps() {
        let times = effects.iter().filter(|effect| effect.step == step).count();
        if times > 1 && !kind.may_repeat() {
            say(
                Kinds::Double,
                format!("has the effect of step {step} {times} times"),
            );
        }
        let is_whole = duty == Duty::Must || (duty == Duty::May && has_run);
        if times == 0 && is_whole && !is_left {
            say(
                Kinds::Lost,
                format!("has no effect of step {step} (dead: {dead:?})"),
            );
        }
    }
    if kind == Kind::Doomed && duty == Duty::Must && dead.is_none() && !is_left {
        say(Kinds::Lost, "is not dead".to_owned());
    }
    if kind != Kind::Doomed && dead.is_some() {
        say(Kinds::Attempts, format!("is dead: {dead:?}"));
    }
    let most = starts.iter().map(|start| start.attempt).max().unwrap_or(0);
    let used = dead.map_or(most, |dead| dead.0);
    if most.max(used) > kind.max_attempts() || (dead.is_some() && used != kind.max_attempts()) {
        say(
            Kinds::Attempts,
            format!("has used {used} attempts, and started {most}"),
        );
    }
    let due = job.began + Duration::from_millis(job.spawn.delay_ms);
    if let Some(first) = starts.first().filter(|first| first.at < due) {
        say(Kinds::Early, format!("started {:?} early", due - first.at));
    }
}

/// If A's spawn was acknowledged before B's began, A has ended before B first starts.
fn judge_order(facts: &Facts, found: &mut Vec<Violation>) {
    let mut channels: HashMap<u64, Vec<(Uuid, &Acknowledged)>> = HashMap::new();
    for (id, job) in &facts.acknowledged {
        if let Some(channel) = job.spawn.ordered_in {
            channels.entry(channel).or_default().push((*id, job));
        }
    }
    for (channel, jobs) in channels {
        for &(later_id, later) in &jobs {
            let Some(first) = facts.starts.get(&later_id).and_then(|starts| starts.first()) else {
                continue;
            };
            for &(id, job) in &jobs {
                let Outcome::Acknowledged(at) = job.spawned else {
                    continue;
                };
                if at < later.began && !has_ended(facts, id, job, first) {
                    let text = format!(
                        "channel {channel}: {later_id} started before {id} had ended: {later:?} {job:?}"
                    );
                    found.push(Violation::new(Kinds::Inversion, text));
                }
            }
        }
    }
}

/// Whether a job had ended when another one started.
fn has_ended(facts: &Facts, id: Uuid, job: &Acknowledged, then: &Start) -> bool {
    let effects = facts.effects.get(&id).map_or(&[][..], Vec::as_slice);
    if job.spawn.interval_ms > 0 && effects.is_empty() {
        return match job.committed {
            // It held its place until it expired.
            Outcome::None | Outcome::Refused => {
                then.at >= job.began + Duration::from_millis(job.spawn.interval_ms)
            }
            // Nobody knows when it was gone.
            Outcome::Unknown => true,
            Outcome::Acknowledged(_) => has_died(facts, id, then),
        };
    }
    if job.spawn.kind == Kind::Doomed {
        return has_died(facts, id, then);
    }
    let last_step = job.spawn.kind.steps().last();
    effects
        .iter()
        .any(|effect| Some(&effect.step) == last_step && then.seen.sees(effect.xid))
}

fn has_died(facts: &Facts, id: Uuid, then: &Start) -> bool {
    facts
        .dead
        .get(&id)
        .is_some_and(|(_, died_at)| *died_at <= then.at)
}

#[cfg(test)]
mod tests {
    use super::super::acks::Spawn;
    use super::super::facts::Effect;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn job(kind: Kind, began: u32) -> Acknowledged {
        Acknowledged {
            spawn: Spawn {
                kind,
                ordered_in: Some(1),
                delay_ms: 0,
                interval_ms: 0,
                is_noted: false,
            },
            began: SECOND * began,
            spawned: Outcome::Acknowledged(SECOND * (began + 1)),
            committed: Outcome::None,
        }
    }

    fn start(at: u32, seen: &str) -> Start {
        Start {
            attempt: 1,
            process: 1,
            at: SECOND * at,
            seen: seen.parse().unwrap(),
        }
    }

    /// A run in which all is well: two ordered jobs, one after the other.
    fn fine() -> (Facts, Uuid, Uuid) {
        let [first, second] = [1, 2].map(Uuid::from_u128);
        let mut facts = Facts::default();
        facts.acknowledged.insert(first, job(Kind::Plain, 0));
        facts.acknowledged.insert(second, job(Kind::Plain, 5));
        facts.starts.insert(first, vec![start(2, "10:10:")]);
        facts.starts.insert(second, vec![start(8, "12:12:")]);
        facts.effects.insert(first, vec![Effect { step: 1, xid: 11 }]);
        facts.effects.insert(second, vec![Effect { step: 1, xid: 15 }]);
        assert!(kinds(&facts).is_empty());
        (facts, first, second)
    }

    fn kinds(facts: &Facts) -> Vec<Kinds> {
        judge(facts).into_iter().map(|violation| violation.kind).collect()
    }

    #[test]
    fn an_effect_that_is_there_twice_is_double() {
        let (mut facts, _, second) = fine();
        facts
            .effects
            .get_mut(&second)
            .unwrap()
            .push(Effect { step: 1, xid: 16 });
        assert_eq!(kinds(&facts), [Kinds::Double]);
    }

    #[test]
    fn an_acknowledged_job_without_effect_is_lost_and_an_unknown_one_is_not() {
        let (mut facts, _, second) = fine();
        facts.effects.remove(&second);
        assert_eq!(kinds(&facts), [Kinds::Lost]);
        facts.starts.remove(&second);
        assert_eq!(kinds(&facts), [Kinds::Lost]);
        facts.acknowledged.get_mut(&second).unwrap().spawned = Outcome::Unknown;
        assert!(kinds(&facts).is_empty());
    }

    #[test]
    fn one_that_started_before_the_one_ahead_of_it_had_ended_is_an_inversion() {
        let (mut facts, _, second) = fine();
        facts.starts.insert(second, vec![start(8, "11:12:11")]);
        assert_eq!(kinds(&facts), [Kinds::Inversion]);
        // Their spawns overlap: no order between them.
        facts.acknowledged.get_mut(&second).unwrap().began = SECOND / 2;
        assert!(kinds(&facts).is_empty());
    }

    #[test]
    fn the_dead_end_when_they_die() {
        let (mut facts, first, _) = fine();
        facts.acknowledged.insert(first, job(Kind::Doomed, 0));
        facts.effects.remove(&first);
        facts.dead.insert(first, (3, SECOND * 7));
        assert!(kinds(&facts).is_empty());
        facts.dead.insert(first, (3, SECOND * 9));
        assert_eq!(kinds(&facts), [Kinds::Inversion]);
        facts.dead.insert(first, (2, SECOND * 7));
        assert_eq!(kinds(&facts), [Kinds::Attempts]);
    }

    #[test]
    fn held_jobs_that_were_not_committed_must_not_run_and_hold_their_place() {
        let (mut facts, first, second) = fine();
        let held = facts.acknowledged.get_mut(&first).unwrap();
        held.spawn.interval_ms = 7000;
        assert_eq!(kinds(&facts), [Kinds::Spurious]);
        facts.effects.remove(&first);
        facts.starts.remove(&first);
        assert!(kinds(&facts).is_empty());
        facts.starts.get_mut(&second).unwrap()[0].at = SECOND * 6;
        assert_eq!(kinds(&facts), [Kinds::Inversion]);
    }

    #[test]
    fn what_was_rolled_back_must_not_run() {
        let (mut facts, first, _) = fine();
        facts.acknowledged.get_mut(&first).unwrap().spawned = Outcome::Refused;
        assert_eq!(kinds(&facts), [Kinds::Spurious]);
        let unknown = facts.acknowledged.get_mut(&first).unwrap();
        (unknown.spawned, unknown.spawn.is_noted) = (Outcome::Unknown, true);
        assert_eq!(kinds(&facts), [Kinds::Spurious]);
        facts.noted.insert(first);
        assert!(kinds(&facts).is_empty());
    }

    #[test]
    fn what_is_left_is_stuck_and_what_starts_early_is_early() {
        let (mut facts, _, second) = fine();
        facts.effects.remove(&second);
        facts.left.push((second, "ready".to_owned()));
        assert_eq!(kinds(&facts), [Kinds::Stuck]);
        facts.acknowledged.get_mut(&second).unwrap().spawn.delay_ms = 4000;
        assert_eq!(kinds(&facts), [Kinds::Early, Kinds::Stuck]);
    }
}
