//! The attribute's arguments become the defaults of the job's builder.

use std::fmt::Error;
use std::time::Duration;

use sqlxmq::{CurrentJob, JobBuilder, job};

fn mail_defaults<'a, 'b>(builder: &'a mut JobBuilder<'b>) -> &'a mut JobBuilder<'b> {
    builder.set_channel_name("mail").set_retries(7).set_ordered(true)
}

#[job]
async fn plain(_job: CurrentJob) -> Result<(), Error> {
    Ok(())
}

#[job(channel_name = "post", retries = 0, backoff_secs = 1.5, ordered)]
async fn all_given(_job: CurrentJob) -> Result<(), Error> {
    Ok(())
}

#[job(retries = 3, proto(mail_defaults))]
async fn with_proto(_job: CurrentJob) -> Result<(), Error> {
    Ok(())
}

// The largest values that the macro lets through; the builder has the last word on them.
#[job(retries = 1_000_000, backoff_secs = 3_110_400_000)]
async fn at_the_bounds(_job: CurrentJob) -> Result<(), Error> {
    Ok(())
}

mod constants {
    use std::time::Duration;

    pub const CHANNEL: &str = "mail";
    pub const RETRIES: u32 = 9;
    pub const MINUTE: Duration = Duration::from_secs(60);
}

const ARGS: &str = "7";

#[job(
    channel_name = constants::CHANNEL,
    channel_args = ARGS,
    retries = constants::RETRIES,
    backoff = linear,
    backoff = constants::MINUTE,
    max_backoff = constants::MINUTE,
    delay = constants::MINUTE,
    commit_interval = constants::MINUTE,
    timeout = constants::MINUTE,
    lease = constants::MINUTE,
)]
async fn of_constants(_job: CurrentJob) -> Result<(), Error> {
    Ok(())
}

#[test]
fn constants_set_the_defaults() {
    let mut expected = JobBuilder::new(of_constants.name());
    expected
        .set_channel_name("mail")
        .set_channel_args("7")
        .set_retries(9)
        .set_retry_backoff(constants::MINUTE)
        .set_max_backoff(constants::MINUTE)
        .set_delay(constants::MINUTE)
        .set_commit_interval(Some(constants::MINUTE));
    assert_eq!(shown(&of_constants.builder()), shown(&expected));
}

/// Without the ids, which differ.
fn shown(builder: &JobBuilder<'_>) -> String {
    let shown = format!("{builder:?}");
    let (_, rest) = shown.split_once("name:").expect("the name follows the id");
    rest.to_owned()
}

#[test]
fn a_job_without_arguments_has_the_builders_defaults() {
    assert_eq!(
        shown(&plain.builder()),
        shown(&JobBuilder::new(concat!(module_path!(), "::plain")))
    );
}

#[test]
fn arguments_set_the_defaults() {
    let mut expected = JobBuilder::new(all_given.name());
    expected
        .set_channel_name("post")
        .set_retries(0)
        .set_retry_backoff(Duration::from_millis(1500))
        .set_ordered(true);
    assert_eq!(shown(&all_given.builder()), shown(&expected));
}

#[test]
fn explicit_arguments_win_over_the_proto() {
    let mut expected = JobBuilder::new(with_proto.name());
    expected.set_channel_name("mail").set_ordered(true).set_retries(3);
    assert_eq!(shown(&with_proto.builder()), shown(&expected));
}

#[test]
fn what_the_builder_sets_wins_over_the_attribute() {
    let mut builder = all_given.builder();
    builder.set_channel_name("other").set_ordered(false);
    assert_eq!(builder.as_ref().channel_name(), "other");
    assert!(shown(&builder).contains("ordered: false"));
}

#[test]
fn the_macros_bounds_are_those_of_the_builder() {
    let shown = shown(&at_the_bounds.builder());
    let backoff = format!("retry_backoff: {:?}", sqlxmq::config::MAX_DURATION);
    assert!(shown.contains(&backoff), "{shown}");
    assert!(
        shown.contains(&format!("retries: {}", sqlxmq::config::MAX_RETRIES)),
        "{shown}"
    );
    // The texts' bounds are spelled out in the macro's messages; a change is to be made there, too.
    assert_eq!(
        (
            sqlxmq::config::MAX_NAME_BYTES,
            sqlxmq::config::MAX_CHANNEL_NAME_BYTES
        ),
        (1024, 1024)
    );
}
