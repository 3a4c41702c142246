//! How long recovery took after each fault, and how long it may. Pure.

use super::check::{Kinds, Violation};
use super::facts::Facts;
use super::nemesis::{Down, Event, Hit, Journal, Lost, Recovery};
use super::watch::Incarnation;
use super::worker::LEASE;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// What a reaper adds to the lease.
const REAPED: Duration = Duration::from_secs(2);
/// Until silence is noticed, and what was silent replaced.
const HALF_OPEN: Duration = Duration::from_secs(15);
/// Until any other fault is got over.
const SHORT: Duration = Duration::from_secs(8);
/// What a look now and then adds to what is measured.
const INEXACT: Duration = Duration::from_millis(100);
/// So many samples make a 99th percentile.
const MANY: usize = 100;

/// The recoveries of one kind.
#[derive(Debug, Default, Clone)]
pub struct Samples {
    /// How many faults there were.
    pub faults: usize,
    /// How long recovery took, less what other faults account for that hit the same process meanwhile. Not where the process ended, or the server.
    pub took: Vec<Duration>,
}

impl Samples {
    /// The sample below which so many in a hundred are.
    pub fn percentile(&self, percent: usize) -> Option<Duration> {
        let mut sorted = self.took.clone();
        sorted.sort();
        sorted
            .get((sorted.len().saturating_sub(1) * percent).div_ceil(100))
            .copied()
    }

    /// What is held against the bound: the longest, or of many samples the 99th percentile.
    pub fn judged(&self) -> Option<Duration> {
        self.percentile(if self.took.len() >= MANY { 99 } else { 100 })
    }
}

/// How long a recovery may take. `None`: it is only shown.
pub fn bound(recovery: Recovery) -> Option<Duration> {
    match recovery {
        Recovery::GivenBack(Lost::Killed) => Some(LEASE + REAPED),
        // A transaction that was open when the process was paused has to time out first.
        Recovery::GivenBack(Lost::Paused) => Some(HALF_OPEN),
        Recovery::ProcessStarts(Hit::Replaced) => None,
        Recovery::ProcessStarts(_) => Some(HALF_OPEN),
        Recovery::AnyStarts(Down::Restart) => Some(Duration::from_secs(2)),
        Recovery::AnyStarts(Down::Failover) => Some(Duration::from_secs(10)),
    }
}

/// Measures the recovery after each fault. `until`: when there was nothing left to be started.
pub fn measure<'a>(
    journal: &Journal,
    facts: &Facts,
    seen: impl Iterator<Item = &'a Incarnation> + Clone,
    until: Duration,
) -> BTreeMap<Recovery, Samples> {
    let mut starts: HashMap<u32, Vec<Duration>> = HashMap::new();
    for start in facts.starts.values().flatten() {
        starts.entry(start.process).or_default().push(start.at);
        starts.entry(0).or_default().push(start.at);
    }
    for times in starts.values_mut() {
        times.sort();
    }
    let mut samples: BTreeMap<Recovery, Samples> = BTreeMap::new();
    for event in &journal.events {
        let samples = samples.entry(event.recovery).or_default();
        samples.faults += 1;
        let recovered = match event.recovery {
            Recovery::GivenBack(_) => given_back(event, seen.clone()),
            Recovery::ProcessStarts(_) | Recovery::AnyStarts(_) => {
                let times = starts.get(&event.process).map_or(&[][..], Vec::as_slice);
                let next = times.partition_point(|at| *at <= event.after);
                let next = times.get(next).copied().unwrap_or(Duration::MAX);
                // Without an end, the wait for the next start ends with the run.
                Some(next.min(until))
            }
        };
        if let Some(recovered) = recovered
            && let from = measured_from(journal, event, recovered)
            && !is_disturbed(journal, event, from, recovered, until)
        {
            samples.took.push(recovered.saturating_sub(from));
        }
    }
    samples
}

/// From when a recovery is measured: later than the fault, by as much as others that hit the process before the time was up account for.
/// One that had been paused when its connections fell silent begins to wait when it goes on; answers that were lost cost some six seconds more.
fn measured_from(journal: &Journal, event: &Event, recovered: Duration) -> Duration {
    if !matches!(event.recovery, Recovery::ProcessStarts(_)) {
        return event.at;
    }
    let in_time = recovered.min(event.at + HALF_OPEN);
    journal
        .events
        .iter()
        .filter(|other| other.process == event.process && other.at > event.at && other.at <= in_time)
        .filter_map(|other| match other.recovery {
            Recovery::ProcessStarts(Hit::Continued | Hit::HalfOpen | Hit::Delayed) => Some(other.at),
            Recovery::ProcessStarts(_) => Some((other.at + SHORT).saturating_sub(HALF_OPEN)),
            _ => None,
        })
        .fold(event.at, Duration::max)
}

/// When the last row of a process was seen that it had when it was hit. `None`: it had none.
fn given_back<'a>(event: &Event, seen: impl Iterator<Item = &'a Incarnation>) -> Option<Duration> {
    seen.filter(|incarnation| incarnation.process == event.process)
        .filter(|incarnation| incarnation.first <= event.at && incarnation.last >= event.at)
        .map(|incarnation| incarnation.last)
        .max()
}

/// Whether something else happened before the recovery that explains why it took longer, or never came.
fn is_disturbed(
    journal: &Journal,
    event: &Event,
    from: Duration,
    recovered: Duration,
    until: Duration,
) -> bool {
    let down = journal.outages.iter().any(|(from, to)| {
        !matches!(event.recovery, Recovery::AnyStarts(_)) && *from <= recovered && *to + REAPED >= event.at
    });
    let hit = matches!(event.recovery, Recovery::ProcessStarts(_))
        && journal
            .ends
            .iter()
            .any(|(process, at)| *process == event.process && *at > event.at && *at <= recovered);
    // What is still recovering from something longer.
    let is_long_itself = matches!(event.recovery, Recovery::ProcessStarts(hit) if is_long(hit));
    let still = !is_long_itself
        && journal.events.iter().any(|other| {
            let is_long = matches!(other.recovery, Recovery::ProcessStarts(hit) if is_long(hit));
            is_long
                && other.process == event.process
                && other.at <= recovered
                && other.at + HALF_OPEN >= event.at
        });
    // The run ended before it had to be.
    let is_last = recovered >= until && bound(event.recovery).is_none_or(|bound| from + bound > until);
    down || hit || still || is_last
}

/// Whether a fault may keep a process for as long as it takes to notice silence.
fn is_long(hit: Hit) -> bool {
    matches!(hit, Hit::HalfOpen | Hit::Delayed)
}

/// Returns the recoveries that took too long.
pub fn judge(samples: &BTreeMap<Recovery, Samples>) -> Vec<Violation> {
    let mut found = Vec::new();
    for (recovery, samples) in samples {
        if let (Some(bound), Some(judged)) = (bound(*recovery), samples.judged())
            && judged > bound + INEXACT
        {
            let text = format!("{recovery:?} took {judged:.1?}, and may take {bound:?}");
            found.push(Violation::new(Kinds::Slow, text));
        }
    }
    found
}

/// Returns the rows that were running too long after their lease was over.
pub fn judge_rows<'a>(journal: &Journal, seen: impl Iterator<Item = &'a Incarnation>) -> Vec<Violation> {
    let mut found = Vec::new();
    for row in seen.filter(|row| row.overdue > REAPED + INEXACT) {
        let recently = |from: Duration, to: Duration, grace: Duration| {
            from <= row.overdue_at && row.overdue_at <= to + grace
        };
        // Without a server nobody can reap, and the witnesses start again afterwards.
        let down = journal
            .outages
            .iter()
            .any(|(from, to)| recently(*from, *to, LEASE + REAPED));
        // A transaction that the process had open keeps the row locked until it times out.
        let locked = journal.events.iter().any(|event| {
            let keeps_open = matches!(
                event.recovery,
                Recovery::GivenBack(Lost::Paused) | Recovery::ProcessStarts(Hit::HalfOpen | Hit::Delayed)
            );
            keeps_open
                && event.process == row.process
                && recently(event.at.saturating_sub(LEASE * 4), event.at, HALF_OPEN)
        });
        if !down && !locked {
            let text = format!("process {} for {:.1?}", row.process, row.overdue);
            found.push(Violation::new(Kinds::Stale, text));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::facts::{Snapshot, Start};
    use super::*;
    use sqlx::types::Uuid;

    fn samples(milliseconds: impl Iterator<Item = u64>) -> Samples {
        let took: Vec<Duration> = milliseconds.map(Duration::from_millis).collect();
        Samples {
            faults: took.len(),
            took,
        }
    }

    #[test]
    fn many_samples_are_judged_by_their_99th_percentile_and_few_by_the_longest() {
        assert_eq!(samples(0..99).judged(), Some(Duration::from_millis(98)));
        assert_eq!(samples(0..200).judged(), Some(Duration::from_millis(198)));
        assert_eq!(samples(0..0).judged(), None);
    }

    #[test]
    fn a_recovery_that_never_came_is_as_long_as_the_run() {
        let event = Event {
            at: Duration::from_secs(10),
            after: Duration::from_secs(10),
            recovery: Recovery::ProcessStarts(Hit::Cut),
            process: 7,
        };
        let mut journal = Journal {
            events: vec![event],
            ..Journal::default()
        };
        let none: [Incarnation; 0] = [];
        let measure =
            |journal: &Journal| measure(journal, &Facts::default(), none.iter(), Duration::from_secs(60));
        assert_eq!(judge(&measure(&journal)).len(), 1);
        journal.ends.push((7, Duration::from_secs(20)));
        assert!(judge(&measure(&journal)).is_empty());
    }

    #[test]
    fn a_recovery_may_take_longer_for_a_fault_that_comes_in_time_and_no_other() {
        let hit = |seconds, hit| Event {
            at: Duration::from_secs(seconds),
            after: Duration::from_secs(seconds),
            recovery: Recovery::ProcessStarts(hit),
            process: 7,
        };
        let started = |seconds| {
            let at = Duration::from_secs(seconds);
            let start = Start {
                attempt: 1,
                process: 7,
                at,
                seen: Snapshot::default(),
            };
            Facts {
                starts: HashMap::from([(Uuid::nil(), vec![start])]),
                ..Facts::default()
            }
        };
        let slow = |events: &[Event], facts: &Facts| {
            let journal = Journal {
                events: events.to_vec(),
                ..Journal::default()
            };
            let none: [Incarnation; 0] = [];
            judge(&measure(&journal, facts, none.iter(), Duration::from_secs(90))).len()
        };
        let silent = hit(10, Hit::HalfOpen);
        assert_eq!(slow(&[silent], &started(27)), 1);
        // Eight seconds from there.
        let lost = hit(20, Hit::AnswerLost);
        assert_eq!(slow(&[silent, lost], &started(27)), 0);
        assert_eq!(slow(&[silent, lost], &started(29)), 1);
        // It went on only then.
        let continued = hit(16, Hit::Continued);
        assert_eq!(slow(&[silent, lost, continued], &started(29)), 0);
        assert_eq!(slow(&[silent, lost, continued], &started(32)), 1);
        // It should have started by then.
        assert_eq!(slow(&[silent, hit(26, Hit::AnswerLost)], &started(27)), 1);
        // One after the other is no excuse, and never is the longest.
        let another = hit(30, Hit::AnswerLost);
        assert_eq!(slow(&[silent, lost, another], &started(37)), 1);
        // By what either says.
        assert_eq!(slow(&[silent, lost, another], &Facts::default()), 2);
    }

    #[test]
    fn rows_of_a_dead_runner_are_stale_unless_the_server_was_down() {
        let row = Incarnation {
            process: 7,
            first: Duration::from_secs(1),
            last: Duration::from_secs(9),
            overdue: Duration::from_secs(3),
            overdue_at: Duration::from_secs(9),
        };
        let mut journal = Journal::default();
        assert_eq!(judge_rows(&journal, [row].iter()).len(), 1);
        journal
            .outages
            .push((Duration::from_secs(5), Duration::from_secs(6)));
        assert!(judge_rows(&journal, [row].iter()).is_empty());
    }
}
