//! Whether a run has shown anything: a day on which nothing was done, or nobody looked, breaks no promise either. Pure.

use super::acks::{Acknowledged, Outcome};
use super::check::{Kinds, Violation};
use super::facts::Facts;
use super::kind::Kind;
use super::nemesis::Recovery;
use super::recovery::Samples;
use sqlx::types::Uuid;
use std::collections::{BTreeMap, BTreeSet};

/// After so many faults of one kind, one recovery at least was not disturbed by others.
const MANY_FAULTS: usize = 20;

/// Returns what a run was to have in it and did not.
pub fn judge(facts: &Facts, samples: &BTreeMap<Recovery, Samples>) -> Vec<Violation> {
    let mut missing = Vec::new();
    for kind in BTreeSet::from(Kind::MIX) {
        if !has_ended(facts, |job| job.spawn.kind == kind) {
            missing.push(format!("no {kind:?} job has ended"));
        }
    }
    if !has_ended(facts, |job| job.spawn.ordered_in.is_some()) {
        missing.push("no ordered job has ended".to_owned());
    }
    if !has_ended(facts, |job| job.spawn.delay_ms > 0) {
        missing.push("no delayed job has ended".to_owned());
    }
    if !has_ended(facts, |job| job.spawn.interval_ms > 0) {
        missing.push("no job that was held until its commit has ended".to_owned());
    }
    for (recovery, samples) in samples {
        if samples.faults >= MANY_FAULTS && samples.took.is_empty() {
            missing.push(format!(
                "{recovery:?} was measured after none of {} faults",
                samples.faults
            ));
        }
    }
    missing
        .into_iter()
        .map(|text| Violation::new(Kinds::Failed, text))
        .collect()
}

/// Whether there is such a job that was acknowledged and has an effect, or is dead.
fn has_ended(facts: &Facts, is_one: impl Fn(&Acknowledged) -> bool) -> bool {
    let is_over = |id: &Uuid| facts.effects.contains_key(id) || facts.dead.contains_key(id);
    facts
        .acknowledged
        .iter()
        .any(|(id, job)| is_one(job) && matches!(job.spawned, Outcome::Acknowledged(_)) && is_over(id))
}

#[cfg(test)]
mod tests {
    use super::super::acks::Spawn;
    use super::super::facts::Effect;
    use super::super::nemesis::Lost;
    use super::*;
    use std::time::Duration;

    /// A run with one job of each kind, each of them ordered, delayed and held.
    fn whole() -> Facts {
        let mut facts = Facts::default();
        for (number, kind) in (1..).zip(BTreeSet::from(Kind::MIX)) {
            let spawn = Spawn {
                kind,
                ordered_in: Some(1),
                delay_ms: 1,
                interval_ms: 1,
                is_noted: false,
            };
            let job = Acknowledged {
                spawn,
                began: Duration::ZERO,
                spawned: Outcome::Acknowledged(Duration::ZERO),
                committed: Outcome::None,
            };
            let id = Uuid::from_u128(number);
            facts.acknowledged.insert(id, job);
            facts.effects.insert(id, vec![Effect { step: 1, xid: 1 }]);
        }
        facts
    }

    #[test]
    fn a_run_without_jobs_of_each_kind_has_shown_nothing_about_them() {
        let none = BTreeMap::new();
        let mut facts = whole();
        assert!(judge(&facts, &none).is_empty());
        facts.effects.remove(&Uuid::from_u128(1));
        assert_eq!(judge(&facts, &none).len(), 1);
        assert_eq!(
            judge(&Facts::default(), &none).len(),
            facts.acknowledged.len() + 3
        );
    }

    #[test]
    fn many_faults_of_which_none_was_measured_are_a_violation() {
        let mut samples = BTreeMap::new();
        let recovery = Recovery::GivenBack(Lost::Killed);
        samples.insert(
            recovery,
            Samples {
                faults: MANY_FAULTS,
                took: Vec::new(),
            },
        );
        assert_eq!(judge(&whole(), &samples).len(), 1);
        samples.insert(
            recovery,
            Samples {
                faults: MANY_FAULTS,
                took: vec![Duration::ZERO],
            },
        );
        assert!(judge(&whole(), &samples).is_empty());
    }
}
