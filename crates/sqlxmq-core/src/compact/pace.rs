//! When the next round is. Pure: the time is handed in.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::horizon::Horizon;
use super::round::{Compaction, Round};

/// How often tables are looked at while there are jobs, and the first pause, which doubles.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(10);

/// How often the end of a pin is looked for, by the list of sessions alone.
const LOOK_FOR_ITS_END: Duration = Duration::from_secs(3);

/// After vacuums in vain that nobody can be seen to be the reason of.
const PINNED_PAUSE_MAX: Duration = Duration::from_secs(30);

/// But a vacuum in vain is not to take more than a twentieth of the time, however much it has to read.
const PINNED_SHARE: u32 = 20;
const PINNED_SHARE_MAX: Duration = Duration::from_secs(20 * 60);

/// Under one pin. What a vacuum can do all the same (rows of those that were rolled back, and of tables that had few dead ones before it), and
/// rewrites that were put off, wait for so long.
const BEHIND_MAX: Duration = Duration::from_secs(10 * 60);

/// After a rewrite that somebody's lock was in the way of, or that took too long: it makes everybody wait each time.
const REWRITE_PAUSE_MAX: Duration = Duration::from_secs(10 * 60);

/// Before the same table is rewritten again: what grows to the same size every minute may as well stay so.
const REWRITTEN_REST: Duration = Duration::from_secs(10 * 60);

/// Between two rewrites, for what has waited for the first.
const BREATH: Duration = Duration::from_secs(1);

/// After rounds that failed. A server that refuses one refuses the next one as well, mostly.
const FAILED_PAUSE_MAX: Duration = Duration::from_secs(5 * 60);

/// What has died meanwhile is not to be taken for what somebody keeps alive: so that most of it has died before the next vacuum.
const AFTER_A_LONG_VACUUM: Duration = Duration::from_secs(3);

/// How long a runner stays away while another is at it.
const WHILE_ANOTHER: Duration = Duration::from_secs(30);

/// When the next round is.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    /// Nothing is done before.
    pub(crate) rest_until: Instant,
    /// Something is left, and will be tried again then though nobody asks.
    pub(crate) again_at: Option<Instant>,
    rewrite_from: Instant,
    /// When which table was rewritten last.
    rewritten: HashMap<String, Instant>,
    /// Whether what is waited with is a rewrite that has failed.
    has_failed: bool,
    pinned_pause: Duration,
    pinned: Option<Pinned>,
    rewrite_pause: Duration,
}

/// How long vacuums are in vain.
#[derive(Debug, Clone, Copy)]
enum Pinned {
    /// As long as that is the horizon, and not longer than until then.
    Behind(Horizon, Instant),
    /// Nobody knows: until then.
    Until(Instant),
}

impl Pace {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            rest_until: now,
            again_at: None,
            rewrite_from: now,
            rewritten: HashMap::new(),
            has_failed: false,
            pinned_pause: Duration::ZERO,
            pinned: None,
            rewrite_pause: Duration::ZERO,
        }
    }

    pub(crate) fn is_pinned(&self) -> bool {
        self.pinned.is_some()
    }

    /// Whether a vacuum would be in vain. If so, it is asked again in a while.
    pub(crate) fn stays_pinned(&mut self, now: Instant, horizon: Option<Horizon>) -> bool {
        let stays = match self.pinned {
            None => false,
            Some(Pinned::Until(until)) => now < until,
            Some(Pinned::Behind(pin, until)) => {
                now < until && horizon.is_some_and(|horizon| !horizon.is_after(pin))
            }
        };
        if stays {
            self.look_for_its_end(now);
        }
        stays
    }

    fn longer_pause(&self, in_vain_for: Duration) -> Duration {
        if self.pinned_pause.is_zero() {
            // What is left may have died while the vacuum went on.
            return LOOK_FOR_ITS_END;
        }
        (self.pinned_pause * 2)
            .clamp(LOOK_EVERY, PINNED_PAUSE_MAX)
            .max(share_of(in_vain_for))
    }

    fn look_for_its_end(&mut self, now: Instant) {
        self.rest_until = now + LOOK_FOR_ITS_END;
        self.again_at = Some(self.rest_until);
    }

    pub(crate) fn may_rewrite(&self, now: Instant) -> bool {
        self.rewrite_from <= now
    }

    pub(crate) fn may_rewrite_table(&self, now: Instant, table: &str) -> bool {
        let is_rested = |at: &Instant| now.saturating_duration_since(*at) >= REWRITTEN_REST;
        self.may_rewrite(now) && self.rewritten.get(table).is_none_or(is_rested)
    }

    /// Another session is at it.
    pub(crate) fn another(&mut self, now: Instant) {
        self.rest_until = now + WHILE_ANOTHER;
        self.again_at = None;
    }

    /// A round has failed: its statement was refused, or the connection broke.
    pub(crate) fn failed(&mut self, now: Instant) {
        self.pinned_pause = (self.pinned_pause * 2).clamp(LOOK_EVERY, FAILED_PAUSE_MAX);
        self.rest_until = now + self.pinned_pause;
        self.again_at = None;
    }

    pub(crate) fn done(&mut self, now: Instant, round: &Round) {
        self.rest_until = now;
        self.again_at = None;
        self.pinned = None;
        if round.has(Compaction::Rewritten) {
            self.rewrite_pause = Duration::ZERO;
            self.has_failed = false;
            let rewritten = round
                .tables
                .iter()
                .filter(|table| table.outcome == Compaction::Rewritten);
            self.rewritten
                .extend(rewritten.map(|table| (table.table.clone(), now)));
        }
        if round.is_more {
            self.again_at = Some(now + BREATH);
        } else if round.has_died_meanwhile {
            self.again_at = Some(now + AFTER_A_LONG_VACUUM);
        }
        if round.has(Compaction::Locked) || round.has(Compaction::TookTooLong) {
            self.rewrite_pause = (self.rewrite_pause * 2).clamp(LOOK_EVERY, REWRITE_PAUSE_MAX);
            self.rewrite_from = now + self.rewrite_pause;
            self.has_failed = true;
        }
        if self.has_failed && !self.may_rewrite(now) {
            self.again_at = Some(self.rewrite_from);
        }
        if round.has(Compaction::Pinned) {
            self.pinned = Some(match round.pinned_by {
                Some(horizon) => {
                    self.pinned_pause = Duration::ZERO;
                    let at_most = BEHIND_MAX.max(share_of(round.in_vain_for));
                    Pinned::Behind(horizon, now + at_most)
                }
                None => {
                    self.pinned_pause = self.longer_pause(round.in_vain_for);
                    Pinned::Until(now + self.pinned_pause)
                }
            });
            self.look_for_its_end(now);
        } else {
            self.pinned_pause = Duration::ZERO;
        }
    }
}

/// A vacuum that has taken so long is not repeated sooner.
fn share_of(in_vain_for: Duration) -> Duration {
    (in_vain_for * PINNED_SHARE).min(PINNED_SHARE_MAX)
}

#[cfg(test)]
mod tests {
    use super::super::round::CompactedTable;
    use super::*;

    fn round(outcome: Compaction, is_more: bool) -> Round {
        Round {
            tables: vec![CompactedTable {
                table: "mq_jobs".to_owned(),
                bytes_before: 2,
                bytes_after: 1,
                outcome,
            }],
            is_more,
            in_vain_for: Duration::from_millis(300),
            has_died_meanwhile: false,
            pinned_by: None,
        }
    }

    fn seconds(pace: &Pace, now: Instant) -> Option<u64> {
        pace.again_at
            .map(|at| at.saturating_duration_since(now).as_secs())
    }

    #[test]
    fn the_pause_grows_while_nobody_is_seen_who_pins() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        let mut pause = |in_vain_for, expected| {
            let pinned = Round {
                in_vain_for: Duration::from_secs(in_vain_for),
                ..round(Compaction::Pinned, false)
            };
            pace.done(now, &pinned);
            let end = now + Duration::from_secs(expected);
            assert!(
                pace.stays_pinned(end - Duration::from_secs(1), None),
                "{expected}"
            );
            assert!(!pace.stays_pinned(end, Some(Horizon(7))), "{expected}");
        };
        for (in_vain_for, expected) in [(4, 3), (0, 10), (0, 20), (0, 30), (0, 30), (4, 80), (70, 1200)] {
            pause(in_vain_for, expected);
        }
        pace.done(now, &round(Compaction::Vacuumed, false));
        assert_eq!((pace.again_at, pace.rest_until), (None, now));
        assert!(!pace.is_pinned());
    }

    #[test]
    fn the_end_of_a_pin_is_looked_for_every_three_seconds_and_nothing_vacuumed_before() {
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        let pinned = Round {
            pinned_by: Some(Horizon(5_000)),
            ..round(Compaction::Pinned, false)
        };
        pace.done(now, &pinned);
        for _ in 0..199 {
            assert_eq!(seconds(&pace, now), Some(3));
            now += Duration::from_secs(3);
            assert!(pace.stays_pinned(now, Some(Horizon(5_000))));
        }
        assert!(pace.stays_pinned(now, Some(Horizon(4_999))), "an older one");
        assert!(!pace.clone().stays_pinned(now, Some(Horizon(5_001))), "another");
        assert!(!pace.clone().stays_pinned(now, None), "nobody");
        now += Duration::from_secs(3);
        assert!(
            !pace.stays_pinned(now, Some(Horizon(5_000))),
            "it is tried now and then"
        );
    }

    #[test]
    fn a_rewrite_that_fails_is_tried_less_and_less_often_and_vacuums_go_on() {
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        for pause in [10, 20, 40, 80, 160, 320, 600, 600] {
            assert!(pace.may_rewrite(now));
            pace.done(now, &round(Compaction::Locked, false));
            assert_eq!(seconds(&pace, now), Some(pause));
            assert_eq!(pace.rest_until, now);
            now += Duration::from_secs(pause) / 2;
            assert!(!pace.may_rewrite(now));
            pace.done(now, &round(Compaction::Vacuumed, false));
            now += Duration::from_secs(pause) / 2;
        }
        pace.done(now, &round(Compaction::Rewritten, false));
        assert_eq!(pace.again_at, None);
        pace.done(now, &round(Compaction::TookTooLong, false));
        assert_eq!(seconds(&pace, now), Some(10));
    }

    #[test]
    fn what_died_during_a_long_vacuum_is_looked_after_in_three_seconds() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        let long = Round {
            has_died_meanwhile: true,
            ..round(Compaction::Vacuumed, false)
        };
        pace.done(now, &long);
        assert_eq!(seconds(&pace, now), Some(3));
    }

    #[test]
    fn one_table_after_the_other_is_rewritten_with_a_breath_between() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        pace.done(now, &round(Compaction::Rewritten, true));
        assert_eq!(seconds(&pace, now), Some(1));
    }

    #[test]
    fn a_table_that_grows_again_and_again_is_not_rewritten_each_time() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        assert!(pace.may_rewrite_table(now, "mq_jobs"));
        pace.done(now, &round(Compaction::Rewritten, false));
        let soon = now + Duration::from_secs(599);
        assert!(!pace.may_rewrite_table(soon, "mq_jobs"));
        assert!(pace.may_rewrite_table(soon, "mq_ready"));
        assert!(pace.may_rewrite_table(now + Duration::from_secs(600), "mq_jobs"));
    }

    #[test]
    fn a_runner_keeps_away_while_another_is_at_it() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        pace.another(now);
        assert_eq!(
            (pace.again_at, pace.rest_until),
            (None, now + Duration::from_secs(30))
        );
    }
}
