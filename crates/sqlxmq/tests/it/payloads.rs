//! Typed payloads: what the builder is given is what the function gets, and what does not fit is dead at once.

use std::sync::atomic::{AtomicU32, Ordering};

use sqlxmq::{BoxError, Bytes, CurrentJob, Job, JobBuilder, Json, NamedJob, SpawnError, job, spawn_all};

use crate::support::{errors, queue, run, until};

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Email {
    to: String,
    cc: Vec<String>,
}

fn email() -> Email {
    Email {
        to: "pip@example.com".to_owned(),
        cc: vec!["🦀".to_owned()],
    }
}

#[job("json")]
async fn json(Json(given): Json<Email>) {
    assert_eq!(given, email());
}

#[job("bytes")]
async fn bytes(Bytes(given): Bytes) {
    assert_eq!(given, b"\0\xff");
}

#[job("both")]
async fn both(
    given: Bytes,
    Json((number, text)): Json<(u32, Option<String>)>,
    job: CurrentJob,
) -> Result<(), BoxError> {
    let mut job = job;
    assert_eq!((&*given, number, text), (&b"image"[..], 7, None));
    assert_eq!(job.raw_json(), Some("[7,null]"));
    job.complete().await?;
    Ok(())
}

#[tokio::test]
async fn a_function_gets_the_payload_that_its_builder_was_given() {
    let db = queue().await;
    let mut handle = run(db.pool(), &[json, bytes, both]).await;
    let ids = [
        json.builder(&email()).spawn(db.pool()).await.unwrap(),
        bytes.builder(b"\0\xff").spawn(db.pool()).await.unwrap(),
        both.builder(&(7, None), b"image").spawn(db.pool()).await.unwrap(),
    ];
    for id in ids {
        until(db.pool(), id, "").await;
    }
    handle.stop().await;
}

static RUNS: AtomicU32 = AtomicU32::new(0);

#[job("picky", retries = 4, backoff_secs = 0)]
async fn picky(Json(_number): Json<u32>, Bytes(_bytes): Bytes) {
    RUNS.fetch_add(1, Ordering::Relaxed);
}

#[tokio::test]
async fn a_payload_that_does_not_fit_is_dead_at_once_with_the_reason() {
    let db = queue().await;
    let mut handle = run(db.pool(), &[picky]).await;
    let untyped: &NamedJob = picky.named();
    let mut wrong = untyped.builder();
    wrong.set_raw_json("\"seven\"").set_raw_bytes(b"");
    let mut no_json = untyped.builder();
    no_json.set_raw_bytes(b"");
    let mut no_bytes = untyped.builder();
    no_bytes.set_raw_json("7");
    for (job, reason) in [
        (
            wrong,
            "the payload is no `u32`: invalid type: string \"seven\", expected u32 at line 1 column 7",
        ),
        (no_json, "the job has no JSON payload, and its function takes one"),
        (
            no_bytes,
            "the job has no binary payload, and its function takes one",
        ),
    ] {
        let id = job.spawn(db.pool()).await.unwrap();
        until(db.pool(), id, "dead").await;
        assert_eq!(errors(db.pool(), id).await, [reason]);
    }
    handle.stop().await;
    assert_eq!(RUNS.load(Ordering::Relaxed), 0);
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Keyed(std::collections::BTreeMap<(u8, u8), u8>);

#[job("unencodable")]
async fn unencodable(Json(_): Json<Keyed>) {}

#[tokio::test]
async fn a_payload_that_is_no_json_is_reported_by_spawn_and_not_sent() {
    let pool = sqlx::PgPool::connect_lazy("postgres://nobody@localhost:1/nothing").expect("a valid address");
    let builder = unencodable.builder(&Keyed([((1, 2), 3)].into()));
    let refused = builder.clone().spawn(&pool).await;
    assert!(matches!(refused, Err(SpawnError::Invalid { .. })), "{refused:?}");
    let source = std::error::Error::source(&refused.unwrap_err())
        .unwrap()
        .to_string();
    assert_eq!(source, "the payload cannot be encoded as JSON");
}

#[tokio::test]
async fn jobs_of_many_types_are_spawned_in_one_statement_and_builders_again_and_again() {
    let db = queue().await;
    let mut handle = run(db.pool(), &[json, bytes]).await;
    let typed: &'static Job<Json<Email>> = json;
    let first: JobBuilder<'_, Json<Email>> = typed.builder(&email());
    let jobs = [first.as_ref().clone(), bytes.builder(b"\0\xff").as_ref().clone()];
    let ids = spawn_all(db.pool(), &jobs).await.unwrap();
    let mut another = first.clone();
    let another = another
        .set_id(uuid::Uuid::now_v7())
        .spawn(db.pool())
        .await
        .unwrap();
    until(db.pool(), another, "").await;
    let again = spawn_all(db.pool(), std::slice::from_ref(&first)).await;
    for id in &ids {
        until(db.pool(), *id, "").await;
    }
    // The same builder is the same job: its id is free again, or taken still.
    assert!(matches!(again, Ok(_) | Err(SpawnError::DuplicateId { .. })));
    handle.stop().await;
}

#[test]
fn a_typed_builder_does_not_show_its_payload() {
    let shown = format!("{:?} {:?}", json.builder(&email()), Json(email()));
    assert!(!shown.contains("pip"), "{shown}");
    assert!(shown.contains("json_bytes: Some("), "{shown}");
}
