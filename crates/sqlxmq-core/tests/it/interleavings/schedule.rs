//! In which order the statements of two transactions follow each other.

use super::table::{FUNCTIONS, Function, Part, Snapshot, call};
use std::fmt;

/// Who does something.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Side {
    First,
    Second,
}

/// One statement of one of two transactions.
#[derive(Debug, Clone)]
pub enum Step {
    /// `begin` in an isolation level; a snapshot is taken at once if it is one for the transaction.
    Begin(Side, &'static str),
    Call(Side, String),
    Commit(Side),
    Rollback(Side),
}

impl Step {
    pub fn side(&self) -> Side {
        match self {
            Step::Begin(side, _) | Step::Call(side, _) | Step::Commit(side) | Step::Rollback(side) => *side,
        }
    }

    pub fn statement(&self) -> String {
        match self {
            Step::Begin(_, COMMITTED) => format!("begin isolation level {COMMITTED}"),
            Step::Begin(_, level) => format!("begin isolation level {level}; select from mq_jobs limit 1"),
            Step::Call(_, call) => call.clone(),
            Step::Commit(_) => "commit".to_owned(),
            Step::Rollback(_) => "rollback".to_owned(),
        }
    }
}

/// Two functions, and the order in which their transactions meet.
#[derive(Debug)]
pub struct Meeting {
    pub first: &'static Function,
    pub second: &'static Function,
    pub order: &'static str,
    pub steps: Vec<Step>,
    /// Error codes that are an answer.
    pub errors: Vec<&'static str>,
}

impl Meeting {
    /// Whether a side may have to wait: for jobs that its caller has named, or for the row of its runner.
    pub fn may_wait(&self, side: Side) -> bool {
        let (own, other) = match side {
            Side::First => (self.first, self.second),
            Side::Second => (self.second, self.first),
        };
        own.waits || own.holds_runner && other.holds_runner
    }
}

impl fmt::Display for Meeting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} meets {}: {}",
            self.first.name, self.second.name, self.order
        )?;
        for step in &self.steps {
            let statement = step.statement();
            let one_line: Vec<&str> = statement.split_whitespace().collect();
            writeln!(f, "  {:?}: {}", step.side(), one_line.join(" "))?;
        }
        Ok(())
    }
}

const COMMITTED: &str = "read committed";
/// A transaction with a snapshot of its own may be told to try again.
const RETRY: &str = "40001";
/// A function that wants READ COMMITTED says so.
const REFUSED: &str = "25000";

use Side::{First, Second};
use Step::{Begin, Commit, Rollback};

/// Every pair in every order that can tell something.
pub fn meetings() -> Vec<Meeting> {
    let mut meetings = Vec::new();
    for first in FUNCTIONS {
        for second in FUNCTIONS {
            pair(&mut meetings, first, second);
        }
    }
    meetings
}

fn pair(meetings: &mut Vec<Meeting>, first: &'static Function, second: &'static Function) {
    let mut new = 0;
    let mut fill = |side, text: &str, part| {
        new += 1;
        Step::Call(side, call(text, part, side == First, new))
    };
    let mut add = |order, steps, errors: &[&'static str]| {
        let errors = [first.errors, second.errors, errors].concat();
        meetings.push(Meeting {
            first,
            second,
            order,
            steps,
            errors,
        });
    };
    let (f, g) = (first.calls[0], second.calls[0]);

    // Every way to call the one, and every way to call the other.
    let looks = first.reads || second.reads;
    for (nth, f) in first.calls.iter().enumerate() {
        let others = if nth == 0 && !looks {
            second.calls
        } else {
            &second.calls[..1]
        };
        for g in others {
            add(
                "the second comes while the first is open",
                vec![
                    Begin(First, COMMITTED),
                    fill(First, f, Part::All),
                    Begin(Second, COMMITTED),
                    fill(Second, g, Part::Backwards),
                    Commit(First),
                    Commit(Second),
                ],
                &[],
            );
        }
    }
    if looks {
        return;
    }
    add(
        "the first is rolled back",
        vec![
            Begin(First, COMMITTED),
            fill(First, f, Part::All),
            Begin(Second, COMMITTED),
            fill(Second, g, Part::Backwards),
            Rollback(First),
            Commit(Second),
        ],
        &[],
    );
    add(
        "the second names at once what the first names in two statements",
        vec![
            Begin(First, COMMITTED),
            fill(First, f, Part::Lower),
            Begin(Second, COMMITTED),
            fill(Second, g, Part::All),
            fill(First, f, Part::Upper),
            Commit(First),
            Commit(Second),
        ],
        &[],
    );
    // Two callers that wait for what they have named, each in its own order, may well wait for each other.
    if !(first.waits && second.waits) {
        add(
            "two statements each, in opposite order",
            vec![
                Begin(First, COMMITTED),
                fill(First, f, Part::Upper),
                Begin(Second, COMMITTED),
                fill(Second, g, Part::Lower),
                fill(Second, g, Part::Upper),
                fill(First, f, Part::Lower),
                Commit(First),
                Commit(Second),
            ],
            &[],
        );
    }
    match second.snapshot {
        Snapshot::NotMeant => {}
        Snapshot::Refuses => {
            if std::ptr::eq(first, second) {
                add(
                    "in a transaction with a snapshot of its own",
                    vec![
                        Begin(Second, "repeatable read"),
                        fill(Second, g, Part::All),
                        Rollback(Second),
                    ],
                    &[REFUSED],
                );
            }
        }
        Snapshot::Works => {
            add(
                "the second has a snapshot from before the first",
                vec![
                    Begin(Second, "repeatable read"),
                    Begin(First, COMMITTED),
                    fill(First, f, Part::All),
                    Commit(First),
                    fill(Second, g, Part::Backwards),
                    Commit(Second),
                ],
                &[RETRY],
            );
            let level = if first.snapshot == Snapshot::Works {
                "serializable"
            } else {
                COMMITTED
            };
            add(
                "the second has a snapshot and comes while the first is open",
                vec![
                    Begin(Second, "serializable"),
                    Begin(First, level),
                    fill(First, f, Part::All),
                    fill(Second, g, Part::All),
                    Commit(First),
                    Commit(Second),
                ],
                &[RETRY],
            );
        }
    }
}
