//! Completions and commits whose connection fails.

use super::Source;

pub const ROWS: &[Source] = &[
    Source {
        name: "completion that is repeated",
        without: "a completion that meets a lost connection fails, and the whole job runs again",
        patch: &[(
            "runner/complete/completer.rs",
            "let may_help = is_lost || is_transient(&error);",
            "let may_help = false;",
        )],
        turns_red: &["a_completion_is_repeated_on_a_new_connection"],
    },
    Source {
        name: "question after a commit",
        without: "a commit whose answer was lost counts as failed, though it may have succeeded",
        patch: &[(
            "job/transaction.rs",
            "let Some(ticket) = ticket else {",
            "let Some(ticket) = ticket.filter(|_| false) else {",
        )],
        turns_red: &[
            "a_commit_whose_answer_was_lost_is_asked_after",
            "a_commit_that_was_lost_itself_is_reported_as_not_committed",
        ],
    },
    Source {
        name: "question after a completion",
        without: "a completion whose commit was not answered is taken for one that did not happen",
        patch: &[(
            "runner/complete/transact.rs",
            "Some(answer) => Sent::Unknown(answer, error)",
            "Some(_) => Sent::NotCommitted(error)",
        )],
        turns_red: &["a_completion_whose_commit_was_not_answered_is_resolved"],
    },
    Source {
        name: "transaction of a completion that is waited for",
        without: "a job that waits for its completion can't be told what became of one whose answer was lost",
        patch: &[(
            "runner/complete/batch.rs",
            "match self.group.iter().any(Pending::is_waited_for) {",
            "match self.group.iter().all(|_| false) {",
        )],
        turns_red: &["a_completion_whose_commit_was_not_answered_is_resolved"],
    },
    Source {
        name: "completion that nobody waits for",
        without: "a job that was completed, and the answer lost, is said to have lost its lease",
        patch: &[(
            "runner/complete/flush.rs",
            "} else if pending.unanswered &&",
            "} else if pending.unanswered && pending.alone &&",
        )],
        turns_red: &["a_completion_that_nobody_waits_for_is_done_once_although_its_answer_was_lost"],
    },
    Source {
        name: "job of an unanswered completion",
        without: "a job whose attempt ended before its completion arrived is taken for completed, and not reported",
        patch: &[(
            "runner/complete/flush.rs",
            "&& !fates.still_there.contains(id) {",
            "&& id != &Uuid::nil() {",
        )],
        turns_red: &["a_completion_that_was_not_answered_does_not_hide_that_the_attempt_is_over"],
    },
    Source {
        name: "deadline of a user's transaction",
        without: "a half-open connection of the user's holds a job for as long as the process lives",
        patch: &[(
            "job/transaction.rs",
            "const DEADLINE: Duration = Duration::from_secs(6)",
            "const DEADLINE: Duration = Duration::from_secs(600)",
        )],
        turns_red: &["a_completion_over_a_connection_that_fell_silent_is_decided_all_the_same"],
    },
];
