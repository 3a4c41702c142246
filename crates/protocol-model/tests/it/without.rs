//! One mechanism at a time is taken out, and the checker finds what it is for.

use protocol_model::{Config, Mechanism, SUITE, check_without};

const STALE: &str = "a stale token changes nothing";
const FOUND: &str = "each running row is found by audit, cancel and reaper";
const QUIET: &str = "once the faults end, every job that somebody can run ends";
const BEHIND: &str = "no attempt is ended behind the back of a runner that is awake";
const TWO: &str = "nobody starts a job while a runner that is awake works on it";
const LOST: &str = "no job is lost: it is in one state exactly, until it ends";
const ORDER: &str = "an earlier ordered job has ended before a later one starts";
const CHANNEL: &str = "an ordered channel has one valid claim at most";

fn configuration(name: &str) -> Config {
    *SUITE
        .iter()
        .find(|candidate| candidate.name == name)
        .unwrap_or_else(|| panic!("there is no configuration `{name}`"))
}

/// Expects this property to be broken in this configuration without these mechanisms.
fn breaks(without: &'static [Mechanism], config: Config, property: &'static str) {
    let violations = check_without(config, without, property).violations;
    assert!(
        violations.iter().any(|violation| violation.property == property),
        "without {without:?}, expected `{property}` to break, found {violations:#?}"
    );
}

#[test]
fn a_completion_by_id_completes_another_runners_attempt() {
    breaks(&[Mechanism::CompleteIsFenced], configuration("leases"), STALE);
}

#[test]
fn a_fence_that_is_only_read_lets_a_stale_completion_through() {
    breaks(&[Mechanism::FenceIsLocked], configuration("leases"), STALE);
}

#[test]
fn a_failure_by_id_ends_another_runners_attempt() {
    breaks(&[Mechanism::FailIsFenced], configuration("answers"), STALE);
}

#[test]
fn a_checkpoint_by_id_is_stored_by_an_older_attempt() {
    breaks(
        &[Mechanism::CheckpointIsFenced],
        configuration("own leases"),
        STALE,
    );
}

#[test]
fn a_token_without_its_claim_is_revived_when_the_same_runner_claims_again() {
    breaks(&[Mechanism::TokenHasClaim], configuration("same runner"), STALE);
}

#[test]
fn a_claim_that_does_not_lock_its_runner_is_left_without_one() {
    breaks(&[Mechanism::ClaimLocksRunner], configuration("leases"), FOUND);
}

#[test]
fn a_claim_that_arrives_after_its_lease_is_left_without_a_runner() {
    breaks(
        &[Mechanism::ClaimRefusesEndedLease],
        configuration("leases"),
        FOUND,
    );
}

#[test]
fn a_claim_that_an_audit_has_left_behind_is_found_by_nobody() {
    breaks(
        &[Mechanism::ClaimRefusesLeftBehind],
        configuration("audits"),
        QUIET,
    );
}

#[test]
fn an_audit_that_passes_a_claim_at_work_leaves_its_job_behind() {
    breaks(&[Mechanism::AuditWaitsForClaims], configuration("audits"), QUIET);
}

#[test]
fn an_audit_that_looks_at_claims_in_flight_fails_jobs_that_are_about_to_start() {
    breaks(
        &[Mechanism::AuditSparesClaimsInFlight],
        configuration("audits"),
        BEHIND,
    );
}

#[test]
fn a_claim_whose_answer_was_lost_stays_running_without_an_audit() {
    breaks(&[Mechanism::Audit], configuration("audits"), QUIET);
}

#[test]
fn a_reaper_that_believes_the_clock_alone_reaps_runners_that_live() {
    breaks(&[Mechanism::SecondWitness], configuration("clock"), BEHIND);
}

#[test]
fn a_runner_that_is_reaped_while_a_completion_is_open_leaves_a_row_to_nobody() {
    breaks(
        &[Mechanism::ReapKeepsRunnerWithRows],
        configuration("leases"),
        QUIET,
    );
}

#[test]
fn a_late_renewal_brings_back_a_lease_that_is_over() {
    breaks(
        &[Mechanism::RenewalRefusesEndedLease],
        configuration("leases"),
        "a lease that is over stays over",
    );
}

#[test]
fn a_runner_that_ignores_its_own_deadline_works_on_what_another_has_started() {
    breaks(&[Mechanism::LocalDeadline], configuration("leases"), TWO);
}

#[test]
fn a_second_attempt_that_is_forgotten_is_made_again() {
    breaks(
        &[Mechanism::DurableRetries],
        configuration("database"),
        "a second attempt is counted, whatever crashes",
    );
}

#[test]
fn a_commit_without_an_answer_is_guessed_wrong() {
    breaks(
        &[Mechanism::UnknownIsResolved],
        configuration("answers"),
        "what a commit is said to have become is true",
    );
}

#[test]
fn a_cancellation_that_looks_once_deletes_a_job_that_moved() {
    breaks(&[Mechanism::CancelLoops], configuration("cancel"), LOST);
}

#[test]
fn a_head_that_is_started_without_a_lock_is_cancelled_from_under_the_claim() {
    breaks(&[Mechanism::ClaimLocksHead], configuration("order, cancel"), LOST);
}

#[test]
fn a_next_in_line_that_a_completion_starts_without_a_lock_is_cancelled_from_under_it() {
    breaks(
        &[Mechanism::CompletionLocksNext],
        configuration("order, cancel"),
        LOST,
    );
}

#[test]
fn a_held_job_is_committed_and_expires() {
    breaks(
        &[Mechanism::HeldIsRechecked],
        configuration("held"),
        "a held job is committed or expires, never both",
    );
}

#[test]
fn two_claims_that_look_at_one_channel_start_two_jobs() {
    breaks(&[Mechanism::ChannelIsLocked], configuration("order"), CHANNEL);
}

#[test]
fn a_head_that_was_seen_before_the_channel_was_locked_is_started_twice() {
    breaks(&[Mechanism::HeadIsFresh], configuration("order"), CHANNEL);
}

#[test]
fn a_head_that_backs_off_is_overtaken() {
    breaks(
        &[Mechanism::HeadHoldsBack],
        configuration("order, retries"),
        ORDER,
    );
}

#[test]
fn a_spawn_that_leaves_the_turn_to_another_is_stuck() {
    breaks(&[Mechanism::SpawnGivesTurn], configuration("order"), QUIET);
}

#[test]
fn an_end_that_gives_no_turn_leaves_the_channel_stuck() {
    breaks(&[Mechanism::EndGivesTurn], configuration("order"), QUIET);
}

#[test]
fn a_turn_that_is_dropped_for_a_locked_head_is_missed_when_the_cancellation_rolls_back() {
    breaks(
        &[Mechanism::BusyHeadKeepsTurn],
        configuration("order, cancel"),
        QUIET,
    );
}

#[test]
fn a_turn_that_is_dropped_while_the_head_completes_is_missed_by_the_next_name() {
    breaks(
        &[Mechanism::EndingHeadKeepsTurn],
        configuration("order, names"),
        QUIET,
    );
}

#[test]
fn a_retry_that_gives_a_turn_to_itself_alone_leaves_an_earlier_job_of_another_name_stuck() {
    breaks(
        &[Mechanism::RetryGivesHeadTurn],
        configuration("order, names"),
        QUIET,
    );
}

// Under it lies a net: an end gives a turn under the name of the next as well. So both are taken out, and only the net is not
// enough to break anything while nobody crashes.
#[test]
fn a_turn_under_a_name_that_is_not_the_heads_is_dropped() {
    let no_crashes = configuration("order, names").of(2, 2, 0);
    let net = check_without(no_crashes, &[Mechanism::EndingHeadKeepsTurn], QUIET);
    assert!(net.violations.is_empty(), "{:#?}", net.violations);
    breaks(
        &[Mechanism::EndingHeadKeepsTurn, Mechanism::UnknownHeadGetsTurn],
        no_crashes,
        QUIET,
    );
}
