//! From the claim to the handler.

use super::Source;

pub const ROWS: &[Source] = &[
    Source {
        name: "free slots",
        without: "a claim takes more jobs than may run",
        file: "runner/poll.rs",
        patch: &[(
            "Step::Claim(max_jobs) => self.claim(max_jobs).await",
            "Step::Claim(max_jobs) => self.claim(max_jobs + 10).await",
        )],
        turns_red: &["no_more_jobs_run_at_a_time_than_allowed"],
    },
    Source {
        name: "panics that are caught",
        without: "a job that panics is failed without its message, and nobody is told while its runner lives",
        file: "job/layer.rs",
        patch: &[(
            "match AssertUnwindSafe(inside).catch_unwind().await {",
            "match Ok::<_, Box<dyn std::any::Any + Send>>(inside.await) {",
        )],
        turns_red: &["a_panic_is_a_failed_attempt_with_its_message"],
    },
    Source {
        name: "names that are compared",
        without: "a job whose name has the key of another one is run as that",
        file: "runner/dispatch.rs",
        patch: &[(
            "jobs.get(&*payload.name).copied()",
            "jobs.get(&*payload.name).or(jobs.values().next()).copied()",
        )],
        turns_red: &["jobs_whose_keys_collide_are_run_by_their_names_and_in_order"],
    },
    Source {
        name: "jobs given back",
        without: "jobs that outlast the grace are failed, or left to the reaper",
        file: "runner/supervise.rs",
        patch: &[(
            "for attempt in current.held() {\n            if attempt.released()",
            "for attempt in current.held() {\n            if false && attempt.released()",
        )],
        turns_red: &["after_the_grace_jobs_are_cancelled_and_given_back_without_an_attempt"],
    },
    Source {
        name: "claim that is dropped",
        without: "jobs between claim and start are held for ever after a panic",
        file: "runner/poll.rs",
        patch: &[(
            "fn drop(&mut self) {\n        self.give_back(Duration::ZERO);",
            "fn drop(&mut self) {",
        )],
        turns_red: &["a_panic_between_the_claim_and_the_start_of_a_job_gives_it_back"],
    },
];
