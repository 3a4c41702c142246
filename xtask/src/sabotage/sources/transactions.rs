//! The transaction of a job, which its completion is committed with.

use super::Source;

pub const ROWS: &[Source] = &[
    Source {
        name: "completion inside of its transaction",
        without: "the effects of a job that has lost its lease are committed, and made again",
        patch: &[(
            "job/job_tx.rs",
            "Some(job) => job.complete_with_transaction(transaction).await?",
            "Some(job) => {\n                transaction.commit().await?;\n                job.complete().await?\n            }",
        )],
        turns_red: &[
            "of_two_attempts_at_a_time_only_the_one_that_has_the_job_commits",
            "an_attempt_whose_job_was_cancelled_commits_nothing",
        ],
    },
    Source {
        name: "transaction that is rolled back",
        without: "an attempt that failed, or put its job off, has its effects all the same",
        patch: &[(
            "job/job_tx.rs",
            "None => undo(transaction).await",
            "None => transaction.commit().await?",
        )],
        turns_red: &["an_attempt_that_ends_otherwise_has_no_effects"],
    },
    Source {
        name: "completion by its transaction alone",
        without: "a job is completed beside its transaction, whose effects may then fail to be committed",
        patch: &[(
            "job/current.rs",
            "match self.attempt.is_bound() {",
            "match self.attempt.is_bound() && false {",
        )],
        turns_red: &["a_job_with_a_transaction_is_completed_by_it_and_not_beside_it"],
    },
];
