//! What may happen next, and how it is chosen.
//!
//! A step names jobs and runners by a number that is resolved when it is played (see `play.rs`): so any part of a sequence is
//! a sequence too, which is what makes a long one shrink to a few lines.

use proptest::{
    collection::vec,
    option,
    prelude::*,
    strategy::{BoxedStrategy, Union},
};
use proptest_state_machine::ReferenceStateMachine;

/// One of many: of those that fit, or now and then of all that ever were.
pub type Pick = u8;

/// A job to be spawned.
#[derive(Debug, Clone)]
pub struct New {
    /// An id that was used before, instead of a new one.
    pub known_id: Option<Pick>,
    pub name: u8,
    pub channel: u8,
    pub ordered: bool,
    pub retries: u8,
    pub backoff_s: u8,
    pub max_backoff_s: u8,
    pub delay_s: u8,
    pub commit_interval_s: Option<u8>,
    pub json: bool,
    pub bytes: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Level {
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

#[derive(Debug, Clone)]
pub enum Step {
    /// Time goes by.
    Wait {
        seconds: u8,
    },
    // Producers.
    Spawn(Vec<New>),
    SpawnOne(New),
    Commit(Vec<Pick>),
    // Runners.
    Register {
        lease_s: u8,
    },
    Renew {
        runner: Pick,
        lease_s: u8,
    },
    Audit {
        runner: Pick,
        forgotten: u8,
        imagined: bool,
        /// Up to which claim it looks; later ones may arrive late then.
        ahead: u8,
    },
    Unregister {
        runner: Pick,
    },
    Claim {
        runner: Pick,
        names: Option<u8>,
        channels: Option<u8>,
        max: u8,
        few_bytes: bool,
        sweep: bool,
        own_lease_s: Option<u8>,
    },
    Complete {
        tokens: Vec<Pick>,
        wait: bool,
    },
    Fail {
        tokens: Vec<Pick>,
        wait: bool,
        long: bool,
    },
    Release {
        tokens: Vec<Pick>,
        delay_s: u8,
    },
    Checkpoint {
        token: Pick,
        json: bool,
        bytes: bool,
        extra: u8,
        keep_alive_s: u8,
    },
    KeepAlive {
        token: Pick,
        seconds: u8,
    },
    Promote {
        max: u8,
    },
    Reap {
        stale: bool,
    },
    ReapJobs,
    RefreshCounts,
    // Operators.
    Cancel(Vec<Pick>),
    Clear(u8),
    ClearAll,
    Requeue(Vec<Pick>),
    Discard(Vec<Pick>),
    /// Everything that can be asked is asked.
    Look,
    // Transactions of the one who does all of the above.
    Begin(Level),
    Savepoint,
    RollBackToSavepoint,
    End {
        commit: bool,
    },
    // Another session.
    TakeSnapshot(Level),
    InSnapshot {
        step: Box<Step>,
        commit: bool,
    },
}

/// What must be known of the steps so far to choose the next.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    in_transaction: bool,
    savepoints: usize,
    has_snapshot: bool,
}

/// Which sequences there are.
pub struct Sequences;

impl ReferenceStateMachine for Sequences {
    type State = Plan;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Plan> {
        Just(Plan::default()).boxed()
    }

    fn transitions(plan: &Plan) -> BoxedStrategy<Step> {
        let mut steps = calls();
        steps.push((4, (1..20u8).prop_map(|seconds| Step::Wait { seconds }).boxed()));
        steps.push((2, Just(Step::Look).boxed()));
        if plan.in_transaction {
            steps.push((14, any::<bool>().prop_map(|commit| Step::End { commit }).boxed()));
            steps.push((2, Just(Step::Savepoint).boxed()));
            if plan.savepoints > 0 {
                steps.push((3, Just(Step::RollBackToSavepoint).boxed()));
            }
        } else {
            steps.push((3, level().prop_map(Step::Begin).boxed()));
            if plan.has_snapshot {
                let in_snapshot = |(step, commit)| Step::InSnapshot {
                    step: Box::new(step),
                    commit,
                };
                steps.push((8, (for_snapshots(), any::<bool>()).prop_map(in_snapshot).boxed()));
            }
        }
        if !plan.has_snapshot {
            let levels = prop_oneof![Just(Level::RepeatableRead), Just(Level::Serializable)];
            steps.push((2, levels.prop_map(Step::TakeSnapshot).boxed()));
        }
        Union::new_weighted(steps).boxed()
    }

    fn apply(mut plan: Plan, step: &Step) -> Plan {
        match step {
            Step::Begin(_) => plan.in_transaction = true,
            Step::Savepoint => plan.savepoints += 1,
            Step::End { .. } => (plan.in_transaction, plan.savepoints) = (false, 0),
            Step::TakeSnapshot(_) => plan.has_snapshot = true,
            Step::InSnapshot { .. } => plan.has_snapshot = false,
            _ => {}
        }
        plan
    }

    fn preconditions(plan: &Plan, step: &Step) -> bool {
        match step {
            Step::Begin(_) => !plan.in_transaction,
            Step::Savepoint | Step::End { .. } => plan.in_transaction,
            Step::RollBackToSavepoint => plan.savepoints > 0,
            Step::TakeSnapshot(_) => !plan.has_snapshot,
            Step::InSnapshot { .. } => plan.has_snapshot && !plan.in_transaction,
            _ => true,
        }
    }
}

fn level() -> impl Strategy<Value = Level> {
    prop_oneof![
        3 => Just(Level::ReadCommitted),
        1 => Just(Level::RepeatableRead),
    ]
}

fn new() -> impl Strategy<Value = New> {
    let what = (0..3u8, 0..5u8, any::<bool>(), 0..3u8, 0..3u8, 0..8u8);
    let when = (
        prop_oneof![3 => Just(0), 1 => 1..30u8],
        prop_oneof![3 => Just(None), 1 => (1..30u8).prop_map(Some)],
    );
    let known_id = prop_oneof![9 => Just(None), 1 => any::<u8>().prop_map(Some)];
    (known_id, what, when, any::<bool>(), any::<bool>()).prop_map(
        |(
            known_id,
            (name, channel, ordered, retries, backoff_s, max_backoff_s),
            (delay_s, commit_interval_s),
            json,
            bytes,
        )| New {
            known_id,
            name,
            channel,
            ordered,
            retries,
            backoff_s,
            max_backoff_s,
            delay_s,
            commit_interval_s,
            json,
            bytes,
        },
    )
}

fn picks() -> impl Strategy<Value = Vec<Pick>> {
    vec(any::<u8>(), 1..5)
}

/// Calls that a user may make in a transaction with a snapshot of its own.
fn for_snapshots() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => vec(new(), 1..3).prop_map(Step::Spawn),
        1 => picks().prop_map(Step::Commit),
        4 => picks().prop_map(|tokens| Step::Complete { tokens, wait: true }),
        2 => checkpoint(),
        1 => (any::<u8>(), 1..60u8).prop_map(|(token, seconds)| Step::KeepAlive { token, seconds }),
        2 => picks().prop_map(Step::Cancel),
        1 => picks().prop_map(Step::Requeue),
        1 => picks().prop_map(Step::Discard),
    ]
}

fn checkpoint() -> impl Strategy<Value = Step> {
    (any::<u8>(), any::<bool>(), any::<bool>(), 0..2u8, 0..20u8).prop_map(
        |(token, json, bytes, extra, keep_alive_s)| Step::Checkpoint {
            token,
            json,
            bytes,
            extra,
            keep_alive_s,
        },
    )
}

fn claim() -> impl Strategy<Value = Step> {
    let which = (
        option::of(1..8u8),
        prop_oneof![2 => Just(None), 1 => (1..8u8).prop_map(Some)],
    );
    let how = (
        1..6u8,
        any::<bool>(),
        any::<bool>(),
        prop_oneof![3 => Just(None), 1 => (1..30u8).prop_map(Some)],
    );
    (any::<u8>(), which, how).prop_map(
        |(runner, (names, channels), (max, few_bytes, sweep, own_lease_s))| Step::Claim {
            runner,
            names,
            channels,
            max,
            few_bytes,
            sweep,
            own_lease_s,
        },
    )
}

/// Every call, by weight.
fn calls() -> Vec<(u32, BoxedStrategy<Step>)> {
    vec![
        (8, vec(new(), 1..7).prop_map(Step::Spawn).boxed()),
        (1, new().prop_map(Step::SpawnOne).boxed()),
        (3, picks().prop_map(Step::Commit).boxed()),
        (
            1,
            (1..200u8).prop_map(|lease_s| Step::Register { lease_s }).boxed(),
        ),
        (
            2,
            (any::<u8>(), 1..200u8)
                .prop_map(|(runner, lease_s)| Step::Renew { runner, lease_s })
                .boxed(),
        ),
        (
            2,
            (any::<u8>(), any::<u8>(), any::<bool>(), 0..5u8)
                .prop_map(|(runner, forgotten, imagined, ahead)| Step::Audit {
                    runner,
                    forgotten,
                    imagined,
                    ahead,
                })
                .boxed(),
        ),
        (
            1,
            any::<u8>().prop_map(|runner| Step::Unregister { runner }).boxed(),
        ),
        (20, claim().boxed()),
        (
            4,
            (picks(), any::<bool>())
                .prop_map(|(tokens, wait)| Step::Complete { tokens, wait })
                .boxed(),
        ),
        (
            4,
            (picks(), any::<bool>(), prop::bool::weighted(0.1))
                .prop_map(|(tokens, wait, long)| Step::Fail { tokens, wait, long })
                .boxed(),
        ),
        (
            2,
            (picks(), prop_oneof![Just(0), 1..20u8])
                .prop_map(|(tokens, delay_s)| Step::Release { tokens, delay_s })
                .boxed(),
        ),
        (5, checkpoint().boxed()),
        (
            2,
            (any::<u8>(), 1..60u8)
                .prop_map(|(token, seconds)| Step::KeepAlive { token, seconds })
                .boxed(),
        ),
        (6, (1..6u8).prop_map(|max| Step::Promote { max }).boxed()),
        (2, any::<bool>().prop_map(|stale| Step::Reap { stale }).boxed()),
        (2, Just(Step::ReapJobs).boxed()),
        (1, Just(Step::RefreshCounts).boxed()),
        (2, picks().prop_map(Step::Cancel).boxed()),
        (1, (1..8u8).prop_map(Step::Clear).boxed()),
        (1, Just(Step::ClearAll).boxed()),
        (2, picks().prop_map(Step::Requeue).boxed()),
        (1, picks().prop_map(Step::Discard).boxed()),
    ]
}
