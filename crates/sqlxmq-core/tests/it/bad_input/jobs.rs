//! The table of jobs: one line per input, what becomes of it, and that nobody else is harmed by it.

use std::collections::BTreeSet;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Executor};
use sqlxmq_core::config::{
    DEFAULT_PAYLOAD_LIMIT, MAX_CHANNEL_ARGS_BYTES, MAX_CHANNEL_NAME_BYTES, MAX_DURATION, MAX_NAME_BYTES,
    MAX_RETRIES,
};
use sqlxmq_core::{InvalidJob, JobField, SpawnError, spawn_all};
use uuid::Uuid;

use super::given::{Given, comes_back};
use crate::support::{ByHand, job, nowhere, queue};

enum Expected {
    /// Stored, claimed, and the same as before.
    Equal,
    /// Refused without a connection, for this reason.
    Refused(&'static str, fn(&InvalidJob) -> bool),
    /// The ids are taken.
    Duplicate(Vec<Uuid>),
}
use Expected::{Duplicate, Equal};

macro_rules! refused {
    ($reason:pat) => {
        Expected::Refused(stringify!($reason), |seen| {
            use InvalidJob::*;
            matches!(seen, $reason)
        })
    };
}

/// What the input is, the jobs of one `spawn_all`, and what becomes of them.
type Line = (String, Vec<Given>, Expected);

fn line(what: &str, change: impl FnOnce(&mut Given), expected: Expected) -> Line {
    (what.to_owned(), vec![Given::with(change)], expected)
}

fn x(bytes: usize) -> String {
    "x".repeat(bytes)
}

/// The id of a job that is there when the line is tried.
const TAKEN: Uuid = Uuid::from_u128(0x7a);

#[rustfmt::skip]
fn names() -> Vec<Line> {
    vec![
        line("name: empty", |job| job.name = x(0), refused!(EmptyName)),
        line("name: 61 bytes", |job| job.name = x(61), Equal),
        line("name: at the limit", |job| job.name = x(MAX_NAME_BYTES), Equal),
        line("name: one byte over", |job| job.name = x(MAX_NAME_BYTES + 1), refused!(TextTooLong { field: JobField::Name, bytes: 1025, .. })),
        line("name: 64 KiB", |job| job.name = x(65_536), refused!(TextTooLong { field: JobField::Name, .. })),
        line("name: mixed case", |job| job.name = "MiXeD".into(), Equal),
        line("name: quotes", |job| job.name = "it's \"$1\" {a,b} \\n %s; --".into(), Equal),
        line("name: emoji, bidi, BOM", |job| job.name = "🦀\u{202e}\u{feff}".into(), Equal),
        line("name: NUL", |job| job.name = "a\0b".into(), refused!(Nul { field: JobField::Name })),

        line("channel name: empty", |job| job.channel_name = x(0), Equal),
        line("channel name: 61 bytes", |job| job.channel_name = x(61), Equal),
        line("channel name: 64 bytes", |job| job.channel_name = x(64), Equal),
        line("channel name: at the limit", |job| job.channel_name = x(MAX_CHANNEL_NAME_BYTES), Equal),
        line("channel name: one byte over", |job| job.channel_name = x(MAX_CHANNEL_NAME_BYTES + 1), refused!(TextTooLong { field: JobField::ChannelName, bytes: 1025, .. })),
        line("channel name: 64 KiB", |job| job.channel_name = x(65_536), refused!(TextTooLong { field: JobField::ChannelName, .. })),
        line("channel name: mixed case", |job| job.channel_name = "MiXeD".into(), Equal),
        line("channel name: quotes", |job| job.channel_name = "'\"\\{}".into(), Equal),
        line("channel name: emoji", |job| job.channel_name = "🦀".repeat(256), Equal),
        line("channel name: NUL", |job| job.channel_name = "\0".into(), refused!(Nul { field: JobField::ChannelName })),
        line("channel name: ordered, at the limit", |job| { job.channel_name = x(MAX_CHANNEL_NAME_BYTES); job.ordered = true }, Equal),

        line("channel args: 6,400 characters", |job| job.channel_args = ('\u{1}'..'\u{700}').cycle().take(6_400).collect(), Equal),
        line("channel args: at the limit, ordered", |job| { job.channel_args = x(MAX_CHANNEL_ARGS_BYTES); job.ordered = true }, Equal),
        line("channel args: one byte over", |job| job.channel_args = x(MAX_CHANNEL_ARGS_BYTES + 1), refused!(TextTooLong { field: JobField::ChannelArgs, bytes: 16_385, .. })),
        line("channel args: quotes", |job| job.channel_args = "'\"\\{}".into(), Equal),
        line("channel args: NUL", |job| job.channel_args = "a\0".into(), refused!(Nul { field: JobField::ChannelArgs })),
    ]
}

#[rustfmt::skip]
fn payloads() -> Vec<Line> {
    let json = |text: &str, expected| {
        let what = format!("json: {}", text.escape_debug().take(20).collect::<String>());
        let text = text.to_owned();
        line(&what, |job| job.json = Some(text), expected)
    };
    let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
    vec![
        json(r#""\u0000""#, Equal),
        json(r#""\ud800""#, Equal),
        json(r#""\ude00\ud83d""#, Equal),
        json(r#"{"a":1,"a":2,"":{}}"#, Equal),
        json("1e400", Equal),
        json("-0.000", Equal),
        json(&"9".repeat(10_000), Equal),
        json(&nested(10_000), Equal),
        json(&nested(500_000), Equal),
        json(" [1 ,\t2]\r\n", Equal),
        json("null", Equal),
        json(r#""""#, Equal),
        json("\"\u{7f}\u{2028}🦀\"", Equal),
        json("", refused!(Json { .. })),
        json("{", refused!(Json { .. })),
        json("[1,]", refused!(Json { .. })),
        json("'a'", refused!(Json { .. })),
        json("NaN", refused!(Json { .. })),
        json("1 2", refused!(Json { .. })),
        json("\u{feff}1", refused!(Json { .. })),
        json("\"a\0b\"", refused!(Json { .. })),
        json(r#""\x""#, refused!(Json { .. })),
        line("bytes: none, and no json", |job| job.payload_limit = 0, Equal),
        line("bytes: 0", |job| job.bytes = Some(vec![]), Equal),
        line("bytes: NUL and all others", |job| job.bytes = Some((0..=255).collect()), Equal),
        line("bytes: an escape of bytea", |job| job.bytes = Some(b"\\x00\\000".to_vec()), Equal),
        line("bytes: at the limit", |job| job.bytes = Some(vec![0xff; DEFAULT_PAYLOAD_LIMIT]), Equal),
        line("bytes: one over", |job| job.bytes = Some(vec![0xff; DEFAULT_PAYLOAD_LIMIT + 1]), refused!(PayloadTooLarge { bytes: 1_048_577, .. })),
        line("both: at the limit together", |job| { job.json = Some("1".into()); job.bytes = Some(vec![0; DEFAULT_PAYLOAD_LIMIT - 1]) }, Equal),
        line("both: one over together", |job| { job.json = Some("1".into()); job.bytes = Some(vec![0; DEFAULT_PAYLOAD_LIMIT]) }, refused!(PayloadTooLarge { .. })),
        line("bytes: 8 MiB, allowed", |job| { job.bytes = Some(vec![7; 8 << 20]); job.payload_limit = 8 << 20 }, Equal),
        line("bytes: 600 MiB", |job| { job.bytes = Some(vec![0; 600 << 20]); job.payload_limit = 256 << 20 }, refused!(PayloadTooLarge { .. })),
        line("limit: 600 MiB", |job| job.payload_limit = 600 << 20, refused!(PayloadLimitTooLarge { .. })),
        line("limit: all there is", |job| job.payload_limit = usize::MAX, refused!(PayloadLimitTooLarge { .. })),
    ]
}

#[rustfmt::skip]
fn numbers() -> Vec<Line> {
    let mut lines = vec![
        line("retries: 0", |job| job.retries = 0, Equal),
        line("retries: at the limit", |job| job.retries = MAX_RETRIES, Equal),
        line("retries: one over", |job| job.retries = MAX_RETRIES + 1, refused!(TooManyRetries { .. })),
        line("retries: i32::MAX", |job| job.retries = i32::MAX.unsigned_abs(), refused!(TooManyRetries { .. })),
        line("retries: u32::MAX", |job| job.retries = u32::MAX, refused!(TooManyRetries { .. })),
        line("id: nil", |job| job.id = Uuid::nil(), refused!(NilId)),
        line("id: all ones", |job| job.id = Uuid::max(), Equal),
        line("id: of no version", |job| job.id = Uuid::from_u128(1), Equal),
    ];
    // Which duration, where it is kept, and what it is called when it is refused.
    type Set = fn(&mut Given, Duration);
    let fields: [(&str, Set, Expected); 4] = [
        ("delay", |job, d| job.delay = d, refused!(DurationTooLong { field: JobField::Delay, .. })),
        ("backoff", |job, d| job.retry_backoff = d, refused!(DurationTooLong { field: JobField::RetryBackoff, .. })),
        ("cap", |job, d| job.max_backoff = d, refused!(DurationTooLong { field: JobField::MaxBackoff, .. })),
        ("commit interval", |job, d| job.commit_interval = Some(d), refused!(DurationTooLong { field: JobField::CommitInterval, .. })),
    ];
    for (what, set, refusal) in fields {
        for fits in [Duration::ZERO, Duration::from_nanos(1), Duration::new(3, 141_592_653), MAX_DURATION] {
            lines.push(line(&format!("{what}: {fits:?}"), |job| set(job, fits), Equal));
        }
        let Expected::Refused(reason, is_it) = refusal else { unreachable!("all are refusals") };
        for too_long in [MAX_DURATION + Duration::from_nanos(1), Duration::from_secs(6_000_000_000_000), Duration::MAX] {
            lines.push(line(&format!("{what}: {too_long:?}"), |job| set(job, too_long), Expected::Refused(reason, is_it)));
        }
    }
    lines
}

fn ids() -> Vec<Line> {
    let taken = || Given::with(|job| job.id = TAKEN);
    let new = Given::plain;
    let twice = new();
    let lines: [(&str, Vec<Given>, Expected); 6] = [
        ("id: taken", vec![taken()], Duplicate(vec![TAKEN])),
        (
            "id: taken by another of the batch",
            vec![new(), twice.clone(), twice.clone(), twice.clone()],
            Duplicate(vec![twice.id]),
        ),
        (
            "id: one of a batch is taken",
            vec![new(), taken(), new()],
            Duplicate(vec![TAKEN]),
        ),
        (
            "id: taken, by an ordered one",
            vec![Given {
                ordered: true,
                ..taken()
            }],
            Duplicate(vec![TAKEN]),
        ),
        (
            "batch: one of three is bad",
            vec![new(), Given::with(|job| job.name = x(0)), new()],
            refused!(EmptyName),
        ),
        ("batch: nothing", vec![], Equal),
    ];
    lines
        .map(|(what, jobs, expected)| (what.to_owned(), jobs, expected))
        .into()
}

/// What a line left undone, or nothing.
async fn tried(
    (what, jobs, expected): &Line,
    level: &str,
    db: &devpg::TestDb,
    runner: &mut ByHand,
) -> Result<(), String> {
    let text = |error: &dyn std::error::Error| format!("{level}: {what}: {error}");
    let builders: Vec<_> = jobs.iter().map(Given::builder).collect();
    let bystander = job("bystander");
    bystander.spawn(db.pool()).await.map_err(|e| text(&e))?;

    let mut transaction = db.pool().begin().await.map_err(|e| text(&e))?;
    transaction
        .execute(AssertSqlSafe(format!("set transaction isolation level {level}")))
        .await
        .map_err(|e| text(&e))?;
    let before = Given::with(|job| job.id = TAKEN);
    before
        .builder()
        .spawn(&mut *transaction)
        .await
        .map_err(|e| text(&e))?;
    let outcome = spawn_all(&mut *transaction, &builders).await;
    let is_as_expected = match (expected, &outcome) {
        (Equal, Ok(ids)) => ids.iter().eq(jobs.iter().map(|job| &job.id)),
        (Expected::Refused(_, is_it), Err(error @ SpawnError::Invalid { source, .. })) => {
            // Where there is no server it is refused the same: the connection was not asked.
            let without = spawn_all(&nowhere(), &builders).await;
            is_it(source) && !error.is_transient() && matches!(without, Err(SpawnError::Invalid { .. }))
        }
        (Duplicate(expected), Err(error @ SpawnError::DuplicateId { ids })) => {
            ids == expected && !error.is_transient()
        }
        _ => false,
    };
    if !is_as_expected {
        let expected = match expected {
            Equal => "that it is stored".to_owned(),
            Expected::Refused(reason, _) => (*reason).to_owned(),
            Duplicate(ids) => format!("duplicates of {ids:?}"),
        };
        return Err(format!("{level}: {what}: expected {expected}, not {outcome:?}"));
    }
    let after = job("after");
    after.spawn(&mut *transaction).await.map_err(|e| text(&e))?;
    transaction.commit().await.map_err(|e| text(&e))?;

    let mut there = BTreeSet::from([bystander.as_ref().id(), TAKEN, after.as_ref().id()]);
    let mut stored = vec![&before];
    if matches!(expected, Equal) {
        stored.extend(jobs);
        there.extend(jobs.iter().map(|job| job.id));
    }
    let seen: BTreeSet<Uuid> = comes_back(db.pool(), runner, &stored)
        .await
        .map_err(|error| format!("{level}: {what}: {error}"))?
        .into_iter()
        .collect();
    match seen == there {
        true => Ok(()),
        false => Err(format!("{level}: {what}: {seen:?} came back, not {there:?}")),
    }
}

#[tokio::test]
async fn any_line_of_the_table_is_refused_with_a_reason_or_comes_back_equal_and_harms_nobody() {
    let db = queue().await;
    let mut runner = ByHand::register(db.pool()).await;
    let lines: Vec<Line> = [names(), payloads(), numbers(), ids()]
        .into_iter()
        .flatten()
        .collect();
    let mut wrong = Vec::new();
    for line in &lines {
        for level in ["read committed", "repeatable read", "serializable"] {
            if let Err(what) = tried(line, level, &db, &mut runner).await {
                wrong.push(what);
                // What it left behind is not the next line's fault.
                sqlxmq_core::clear_all(db.pool()).await.expect("a clean queue");
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(lines.len() > 90, "{} lines", lines.len());
    db.close().await;
}
