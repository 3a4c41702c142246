//! What is done to whom, and when: decided before the run, by the seed alone.

use super::dice::Dice;
use std::time::Duration;

/// Runner processes. They come first among the clients.
pub const RUNNERS: usize = 8;
/// Spawner processes.
pub const SPAWNERS: usize = 4;
/// All of them.
pub const CLIENTS: usize = RUNNERS + SPAWNERS;

const KILL_EVERY: Duration = Duration::from_secs(5);
const PAUSE_EVERY: Duration = Duration::from_secs(10);
const TERMINATE_EVERY: Duration = Duration::from_secs(2);
const NETWORK_EVERY: Duration = Duration::from_secs(10);
const HUNT_EVERY: Duration = Duration::from_secs(3);
const RESTART_EVERY: Duration = Duration::from_secs(120);
/// The first restart of a run that has room for it.
const FIRST_RESTART: Duration = Duration::from_secs(60);

/// A fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// `kill -9`, and another process in its place.
    Kill { client: usize },
    /// SIGSTOP, and SIGCONT after so long.
    Pause { client: usize, length: Duration },
    /// `pg_terminate_backend` of one of the client's connections.
    Terminate { client: usize },
    /// All connections are closed.
    Cut { clients: Vec<usize> },
    /// Everything arrives later than the lease is long, for a while.
    Delay {
        client: usize,
        delay: Duration,
        length: Duration,
    },
    /// The next completion is held up until the lease is over that it was sent under, for no renewal gets through either.
    LateCompletion { client: usize },
    /// All connections are open and silent, for good.
    HalfOpen { clients: Vec<usize> },
    /// The server commits, and the answer is lost.
    LoseAnswers { clients: Vec<usize> },
    /// The server ends as with `pg_ctl stop -m immediate` and is started again.
    Restart,
    /// The server ends, and its standby takes its place.
    Failover,
}

/// Returns all faults of a run, in order.
pub fn plan(seed: u64, length: Duration) -> Vec<(Duration, Fault)> {
    let mut plan = Vec::new();
    let mut player = 0;
    let mut every = |interval: Duration, invent: &dyn Fn(u32, &mut Dice) -> Fault| {
        player += 1;
        let mut dice = Dice::new(seed, player);
        // Not all of them at once.
        let shift = Duration::from_millis(player * 130);
        for number in 1.. {
            let at = interval * number + shift;
            if at >= length {
                break;
            }
            plan.push((at, invent(number, &mut dice)));
        }
    };
    every(KILL_EVERY, &|number, dice| Fault::Kill {
        client: if number % 4 == 0 {
            RUNNERS + dice.below(SPAWNERS as u64) as usize
        } else {
            runner(dice)
        },
    });
    every(PAUSE_EVERY, &|_, dice| Fault::Pause {
        client: runner(dice),
        length: Duration::from_millis(4500 + dice.below(1500)),
    });
    every(TERMINATE_EVERY, &|_, dice| Fault::Terminate {
        client: client(dice),
    });
    every(NETWORK_EVERY, &|number, dice| match number % 4 {
        1 => Fault::Cut {
            clients: some(dice, 50),
        },
        2 => Fault::HalfOpen {
            clients: some(dice, 20),
        },
        3 => Fault::LoseAnswers {
            clients: some(dice, 80),
        },
        _ => Fault::Delay {
            client: runner(dice),
            delay: Duration::from_millis(1500 + dice.below(2500)),
            length: Duration::from_secs(8),
        },
    });
    let mut restart = FIRST_RESTART.min(length / 3);
    while restart < length {
        plan.push((restart, Fault::Restart));
        restart += RESTART_EVERY;
    }
    plan.push((length * 2 / 3, Fault::Failover));
    plan.sort_by_key(|(at, _)| *at);
    plan
}

/// Returns the faults of a run that is to see what happens without a fence, soon: completions that arrive after others have
/// been given the jobs.
pub fn hunt(seed: u64, length: Duration) -> Vec<(Duration, Fault)> {
    let mut dice = Dice::new(seed, 0);
    let times = (1..).map(|number| HUNT_EVERY * number);
    times
        .take_while(|at| *at < length)
        .map(|at| {
            let client = runner(&mut dice);
            (at, Fault::LateCompletion { client })
        })
        .collect()
}

fn client(dice: &mut Dice) -> usize {
    dice.below(CLIENTS as u64) as usize
}

fn runner(dice: &mut Dice) -> usize {
    dice.below(RUNNERS as u64) as usize
}

/// So many percent of the clients, and one runner at least.
fn some(dice: &mut Dice, percent: u64) -> Vec<usize> {
    let first = runner(dice);
    (0..CLIENTS)
        .filter(|client| *client == first || dice.percent(percent))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(plan: &[(Duration, Fault)], is_it: impl Fn(&Fault) -> bool) -> usize {
        plan.iter().filter(|(_, fault)| is_it(fault)).count()
    }

    #[test]
    fn a_bad_day_has_its_rates() {
        let plan = plan(1, Duration::from_secs(600));
        assert_eq!(count(&plan, |fault| matches!(fault, Fault::Kill { .. })), 119);
        assert_eq!(count(&plan, |fault| matches!(fault, Fault::Pause { .. })), 59);
        assert_eq!(
            count(&plan, |fault| matches!(fault, Fault::Terminate { .. })),
            299
        );
        let network = |fault: &Fault| {
            matches!(
                fault,
                Fault::Cut { .. } | Fault::Delay { .. } | Fault::HalfOpen { .. } | Fault::LoseAnswers { .. }
            )
        };
        assert_eq!(count(&plan, network), 59);
        assert_eq!(count(&plan, |fault| *fault == Fault::Restart), 5);
        assert_eq!(count(&plan, |fault| *fault == Fault::Failover), 1);
    }

    #[test]
    fn a_short_run_has_a_restart_and_a_failover_too() {
        let plan = plan(1, Duration::from_secs(60));
        assert_eq!(count(&plan, |fault| *fault == Fault::Restart), 1);
        assert_eq!(count(&plan, |fault| *fault == Fault::Failover), 1);
    }

    #[test]
    fn a_seed_says_it_all() {
        let length = Duration::from_secs(100);
        assert_eq!(plan(7, length), plan(7, length));
        assert_ne!(plan(7, length), plan(8, length));
    }
}
