//! A build with a mechanism taken out, in which the checker must find violations.

use crate::sabotage::{Mechanism, sql};

/// What can be taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Without {
    /// An attempt whose claim is over completes its job all the same.
    Fence,
}

impl Without {
    /// The statements that take it out.
    pub fn sql(self) -> String {
        match self {
            Without::Fence => FENCE.iter().map(sql).collect(),
        }
    }
}

/// The fence, and what would notice that it is gone.
const FENCE: [Mechanism; 2] = [
    Mechanism {
        name: "fence",
        without: "whoever asks has the job",
        function: "mq_end_running",
        patch: &[(
            "if ended is null or cardinality(ended) < cardinality(ids) then",
            "ended := ids;\n  if false then",
        )],
        turns_red: &[],
    },
    Mechanism {
        name: "job row of a state row",
        without: "a job that is gone is completed again",
        function: "mq_forget",
        patch: &[
            ("cardinality(gone) <> cardinality(ids)", "false"),
            ("return gone", "return ids"),
        ],
        turns_red: &[],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use devpg::TestDb;
    use sqlx::{AssertSqlSafe, Executor};

    #[tokio::test]
    async fn the_fence_can_still_be_taken_out() {
        let migrator = crate::migrations::migrator().await.expect("the migrations");
        let database = TestDb::create(&migrator).await;
        let taken_out = database.pool().execute(AssertSqlSafe(Without::Fence.sql())).await;
        assert!(taken_out.is_ok(), "{taken_out:?}");
    }
}
