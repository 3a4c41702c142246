//! Spawning many jobs in one statement: planned first, then sent.

use std::collections::HashSet;

use uuid::Uuid;

use super::executor::SpawnWith;
use super::new_job::NewJob;
use super::row::Row;
use crate::config::MAX_BATCH_BYTES;
use crate::error::SpawnError;
use crate::store::producer::{self, SpawnColumns};

/// Stores any number of jobs in one statement, all or none, and returns their ids in order.
///
/// The jobs may be of different kinds, by what their builders have in common: `&[welcome.as_ref(), report.as_ref()]`. Ordered jobs of one channel are ordered as in the slice. An
/// empty slice sends nothing.
///
/// # Errors
///
/// As for [`JobBuilder::spawn`](crate::JobBuilder::spawn); an id given twice in the slice is a
/// [`SpawnError::DuplicateId`] too.
///
/// # Cancel safety
///
/// Not cancel safe: outside of a transaction, the jobs may or may not have been stored.
///
/// # Examples
///
/// ```no_run
/// # use sqlxmq_core::{Bytes, Job, JobBuilder, Json, NewJob, SpawnError, spawn_all};
/// # async fn example(pool: &sqlx::PgPool, welcome: &'static Job<Json<String>>, image: &'static Job<Bytes>) -> Result<(), SpawnError> {
/// // Of one kind:
/// let builders = ["ada", "grace"].map(|name| welcome.builder(&name.to_owned()));
/// spawn_all(pool, &builders).await?;
///
/// // Of two:
/// let (first, second) = (welcome.builder(&"alan".to_owned()), image.builder(b"png"));
/// spawn_all(pool, &[first.as_ref(), second.as_ref()]).await?;
/// # Ok(())
/// # }
/// ```
pub async fn spawn_all<'b, 'j, E, B>(executor: E, jobs: &[B]) -> Result<Vec<Uuid>, SpawnError>
where
    E: SpawnWith<'b>,
    B: AsRef<NewJob<'j>>,
{
    let columns = plan(jobs)?;
    let ids = columns.ids.clone();
    let Some(&first_name) = columns.names.first() else {
        return Ok(ids);
    };
    let taken = producer::spawn_all(executor, columns)
        .await
        .map_err(|source| SpawnError::store(first_name, ids.len(), source))?;
    match taken.is_empty() {
        true => Ok(ids),
        false => Err(SpawnError::DuplicateId { ids: taken }),
    }
}

/// Checks the jobs and turns them into columns.
fn plan<'a, 'j: 'a, B: AsRef<NewJob<'j>>>(jobs: &'a [B]) -> Result<SpawnColumns<'a>, SpawnError> {
    let mut columns = SpawnColumns::default();
    let mut bytes: usize = 0;
    for job in jobs {
        let row = Row::of(job.as_ref())?;
        bytes += row.size();
        if bytes > MAX_BATCH_BYTES {
            return Err(SpawnError::BatchTooLarge {
                bytes,
                limit: MAX_BATCH_BYTES,
            });
        }
        row.push_to(&mut columns);
    }
    refuse_duplicates(&columns.ids)?;
    Ok(columns)
}

fn refuse_duplicates(ids: &[Uuid]) -> Result<(), SpawnError> {
    // As ids of version 7 are that were made one after the other.
    if ids.is_sorted_by(|one, next| one < next) {
        return Ok(());
    }
    let mut seen = HashSet::with_capacity(ids.len());
    let mut named = HashSet::new();
    // Each once, however often it was given: as the database answers for ids that are taken.
    let twice: Vec<Uuid> = ids
        .iter()
        .copied()
        .filter(|id| !seen.insert(*id) && named.insert(*id))
        .collect();
    match twice.is_empty() {
        true => Ok(()),
        false => Err(SpawnError::DuplicateId { ids: twice }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;
    use crate::JobBuilder;

    #[test]
    fn columns_keep_the_order_and_the_bytes_of_the_jobs() {
        let ids = [3, 1, 2].map(Uuid::from_u128);
        let mut jobs = ids.map(|id| JobBuilder::new_with_id(id, "mail"));
        jobs[0]
            .set_raw_json(" {\"b\":1, \"b\":1e400}\n")
            .set_commit_interval(Some(Duration::ZERO));
        jobs[1].set_raw_bytes(b"\0\xff").set_ordered(true);
        jobs[2]
            .set_channel_name("a")
            .set_channel_args("b")
            .set_json("x")
            .unwrap();
        let columns = plan(&jobs).unwrap();
        assert_eq!(columns.ids, ids);
        assert_eq!(
            columns.payloads_json,
            [Some(" {\"b\":1, \"b\":1e400}\n"), None, Some("\"x\"")]
        );
        assert_eq!(columns.payloads_bytes, [None, Some(&b"\0\xff"[..]), None]);
        assert_eq!(columns.commit_intervals_us, [Some(0), None, None]);
        assert_eq!(columns.ordered, [false, true, false]);
        assert_eq!(columns.channel_names, ["", "", "a"]);
        assert_eq!(columns.channel_args, ["", "", "b"]);
    }

    #[test]
    fn an_id_given_more_than_once_is_refused_and_named_once() {
        let [a, b, c] = [1, 2, 3].map(Uuid::from_u128);
        let jobs = [c, a, b, a, a, c].map(|id| JobBuilder::new_with_id(id, "mail"));
        match plan(&jobs) {
            Err(SpawnError::DuplicateId { ids }) => assert_eq!(ids, [a, c]),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_bad_job_is_named() {
        let mut bad = JobBuilder::new("bad");
        bad.set_retries(u32::MAX);
        match plan(&[&JobBuilder::new("good"), &bad]) {
            Err(SpawnError::Invalid { name, .. }) => assert_eq!(name, "bad"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_batch_too_large_for_one_message_is_refused() {
        let payload = vec![0; 200 << 20];
        let mut job = JobBuilder::new("large");
        job.set_raw_bytes(&payload).set_payload_limit(256 << 20);
        plan(&[&job]).unwrap();
        let jobs: Vec<JobBuilder<'_>> = (1..=3)
            .map(|id| {
                let mut job = JobBuilder::new_with_id(Uuid::from_u128(id), "large");
                job.set_raw_bytes(&payload).set_payload_limit(256 << 20);
                job
            })
            .collect();
        assert!(matches!(plan(&jobs), Err(SpawnError::BatchTooLarge { .. })));
    }

    #[test]
    fn futures_can_be_sent_to_other_threads() {
        fn is_send<T: Send>(_: &T) {}
        let options = sqlx::postgres::PgConnectOptions::new_without_pgpass();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _inside = runtime.enter();
        let pool = sqlx::PgPool::connect_lazy_with(options);
        is_send(&async {
            let channel = String::from("c");
            let mut job = JobBuilder::new("mail");
            job.set_channel_name(&channel);
            job.spawn(&pool).await?;
            let mut transaction = pool.begin().await.unwrap();
            job.spawn(&mut *transaction).await?;
            spawn_all(&mut *transaction, &[&job, &job]).await?;
            spawn_all(&pool, &[job]).await
        });
    }

    // There are many ways to be refused and one to fit: each part fits nine times of ten, or no job would.

    fn text() -> impl Strategy<Value = String> {
        // Around the bounds, and with two bytes to a character.
        prop_oneof![
            40 => "[a-z\u{e9}\u{1f980}'\"]{1,8}",
            2 => "\u{e9}{510,514}",
            1 => "a{16380,16388}",
            1 => Just(String::new()),
            1 => Just("a\0b".to_owned()),
        ]
    }

    fn duration() -> impl Strategy<Value = Duration> {
        prop_oneof![
            20 => (0..3_110_400_000_u64, 0..1_000_000_000_u32),
            1 => (3_110_399_999..3_110_400_002_u64, 0..1_000_000_000_u32),
            1 => (any::<u64>(), 0..1_000_000_000_u32),
        ]
        .prop_map(|(seconds, nanos)| Duration::new(seconds, nanos))
    }

    fn json() -> impl Strategy<Value = String> {
        prop_oneof![
            9 => "-?[1-9][0-9]{0,20}|\"[ !#-\\[\\]-~]{0,12}\"| *\\[\\{\\}\\] *",
            1 => ".{0,12}",
        ]
    }

    proptest! {
        #[test]
        fn a_job_is_within_the_bounds_of_the_schema_or_refused(
            id in prop_oneof![1 => Just(0), 20 => any::<u128>()],
            texts in (text(), text(), text()),
            retries in prop_oneof![20 => 0..=1_000_000_u32, 1 => 999_999..1_000_002_u32, 1 => any::<u32>()],
            durations in (duration(), duration(), duration(), option::of(duration())),
            ordered in any::<bool>(),
            json in option::of(json()),
            bytes in option::of(vec(any::<u8>(), 0..40)),
            limit in prop_oneof![10 => 50..100_usize, 5 => 0..50_usize, 1 => any::<usize>()],
        ) {
            let (name, channel_name, channel_args) = &texts;
            let (delay, backoff, max_backoff, commit_interval) = durations;
            let mut job = JobBuilder::new_with_id(Uuid::from_u128(id), name);
            job.set_channel_name(channel_name)
                .set_channel_args(channel_args)
                .set_retries(retries)
                .set_delay(delay)
                .set_retry_backoff(backoff)
                .set_max_backoff(max_backoff)
                .set_commit_interval(commit_interval)
                .set_ordered(ordered)
                .set_payload_limit(limit);
            if let Some(json) = &json {
                job.set_raw_json(json);
            }
            if let Some(bytes) = &bytes {
                job.set_raw_bytes(bytes);
            }

            // The numbers are those of the schema's CHECKs, written out.
            const HUNDRED_YEARS_US: u128 = 36_000 * 24 * 3_600 * 1_000_000;
            let micros = |duration: Duration| duration.as_nanos().div_ceil(1_000);
            let fits = id != 0
                && (1..=1_024).contains(&name.len())
                && channel_name.len() <= 1_024
                && channel_args.len() <= 16_384
                && ![name, channel_name, channel_args].iter().any(|text| text.contains('\0'))
                && retries <= 1_000_000
                && [Some(delay), Some(backoff), Some(max_backoff), commit_interval]
                    .into_iter()
                    .flatten()
                    .all(|duration| micros(duration) <= HUNDRED_YEARS_US)
                && limit <= 268_435_456
                && json.as_ref().map_or(0, String::len) + bytes.as_ref().map_or(0, Vec::len) <= limit
                && json.as_ref().is_none_or(|json| serde_json::from_str::<serde_json::Value>(json).is_ok());

            match plan(&[job]) {
                Ok(columns) => {
                    prop_assert!(fits);
                    prop_assert_eq!(columns.retries[0], retries.cast_signed());
                    prop_assert_eq!(columns.delays_us[0].cast_unsigned() as u128, micros(delay));
                    prop_assert_eq!(columns.backoffs_us[0].cast_unsigned() as u128, micros(backoff));
                    prop_assert_eq!(columns.max_backoffs_us[0].cast_unsigned() as u128, micros(max_backoff));
                    prop_assert_eq!(
                        columns.commit_intervals_us[0].map(|interval| interval.cast_unsigned() as u128),
                        commit_interval.map(micros)
                    );
                    prop_assert_eq!(columns.payloads_json[0], json.as_deref());
                    prop_assert_eq!(columns.payloads_bytes[0], bytes.as_deref());
                }
                Err(SpawnError::Invalid { .. }) => prop_assert!(!fits),
                Err(other) => prop_assert!(false, "{other:?}"),
            }
        }
    }
}
