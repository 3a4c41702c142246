//! Ownership says who completes: a job that its function does not own is completed by the runner.

use sqlxmq::{BoxError, CompleteError, CurrentJob, JobRegistry, job};

use crate::support::{errors, fast, queue, run, until};

#[job("no argument")]
async fn no_argument() -> Result<(), BoxError> {
    Ok(())
}

#[job("returns nothing")]
async fn returns_nothing() {}

#[job("lent")]
async fn lent(job: &mut CurrentJob) -> Result<(), BoxError> {
    assert_eq!(job.name(), "lent");
    Ok(())
}

#[job("only context", retries = 0)]
async fn only_context(text: &'static str) -> Result<(), BoxError> {
    Err(text.into())
}

#[job("owned", retries = 0)]
async fn owned(_job: CurrentJob) -> Result<(), BoxError> {
    Ok(())
}

#[tokio::test]
async fn a_job_that_nobody_owns_is_completed_when_its_function_returns_ok() {
    let db = queue().await;
    let mut handle = run(db.pool(), &[no_argument, returns_nothing, lent]).await;
    for job in [no_argument, returns_nothing, lent] {
        let id = job.builder().spawn(db.pool()).await.unwrap();
        until(db.pool(), id, "").await;
    }
    handle.stop().await;
}

#[tokio::test]
async fn a_job_that_its_function_owns_is_not_completed_for_it() {
    let db = queue().await;
    let mut handle = run(db.pool(), &[owned]).await;
    let id = owned.builder().spawn(db.pool()).await.unwrap();
    until(db.pool(), id, "dead").await;
    handle.stop().await;
    assert_eq!(
        errors(db.pool(), id).await,
        ["the job was dropped without being completed: call its `complete`, or take it as `&mut CurrentJob`"]
    );
}

#[tokio::test]
async fn the_error_of_a_job_that_nobody_owns_is_recorded() {
    let db = queue().await;
    let mut registry = JobRegistry::new(&[only_context]);
    registry.set_context("out of paper");
    let mut handle = fast(registry.runner(db.pool())).await;
    let id = only_context.builder().spawn(db.pool()).await.unwrap();
    until(db.pool(), id, "dead").await;
    handle.stop().await;
    assert_eq!(errors(db.pool(), id).await, ["out of paper"]);
}

#[job("panics when lent", retries = 0)]
async fn panics_when_lent(_job: &mut CurrentJob) {
    panic!("the roof is on fire");
}

#[tokio::test]
async fn a_panic_is_recorded_although_the_runner_holds_the_job() {
    let db = queue().await;
    let mut handle = run(db.pool(), &[panics_when_lent]).await;
    let id = panics_when_lent.builder().spawn(db.pool()).await.unwrap();
    until(db.pool(), id, "dead").await;
    handle.stop().await;
    assert_eq!(
        errors(db.pool(), id).await,
        ["the job panicked: the roof is on fire"]
    );
}

#[job("completes in a transaction")]
async fn completes_in_a_transaction(job: &mut CurrentJob) -> Result<(), BoxError> {
    let mut tx = job.pool().begin().await?;
    sqlx::query("insert into effects values ($1)")
        .bind(job.id())
        .execute(&mut *tx)
        .await?;
    job.complete_with_transaction(tx).await?;
    assert!(matches!(
        job.complete().await,
        Err(CompleteError::AlreadyCompleted { .. })
    ));
    Ok(())
}

#[tokio::test]
async fn a_lent_job_can_be_completed_in_a_transaction() {
    let db = queue().await;
    sqlx::query("create table effects (id uuid not null)")
        .execute(db.pool())
        .await
        .unwrap();
    let (report, mut errors) = tokio::sync::mpsc::unbounded_channel();
    let mut registry = JobRegistry::new(&[completes_in_a_transaction]);
    registry.set_error_handler(move |_, error| {
        let _ = report.send(error.to_string());
    });
    let mut handle = fast(registry.runner(db.pool())).await;
    let id = completes_in_a_transaction
        .builder()
        .spawn(db.pool())
        .await
        .unwrap();
    until(db.pool(), id, "").await;
    handle.stop().await;
    drop(handle);
    assert_eq!(
        errors.recv().await,
        None,
        "that it is complete already is no error"
    );
    let effects: Vec<uuid::Uuid> = sqlx::query_scalar("select id from effects")
        .fetch_all(db.pool())
        .await
        .unwrap();
    assert_eq!(effects, [id]);
}

#[job("cancels itself")]
async fn cancels_itself(job: &mut CurrentJob) -> Result<(), BoxError> {
    sqlxmq::cancel(job.pool(), &[job.id()]).await?;
    Ok(())
}

#[tokio::test]
async fn a_lost_lease_is_told_once_and_not_as_a_drop() {
    let db = queue().await;
    let (report, mut errors) = tokio::sync::mpsc::unbounded_channel();
    let mut registry = JobRegistry::new(&[cancels_itself, no_argument]);
    registry.set_error_handler(move |name, error| {
        let _ = report.send((name.to_owned(), error.to_string()));
    });
    let mut handle = fast(registry.runner(db.pool())).await;
    let id = cancels_itself.builder().spawn(db.pool()).await.unwrap();
    let (name, error) = errors.recv().await.expect("a report");
    assert_eq!(name, "cancels itself");
    assert!(error.contains("lost its lease"), "{error}");
    let marker = no_argument.builder().spawn(db.pool()).await.unwrap();
    until(db.pool(), marker, "").await;
    until(db.pool(), id, "").await;
    handle.stop().await;
    drop(handle);
    assert_eq!(errors.recv().await, None, "told once");
}

#[tokio::test]
async fn an_error_handler_that_panics_hears_of_the_next_error_all_the_same() {
    let db = queue().await;
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let mut registry = JobRegistry::new(&[only_context]);
    registry
        .set_context("out of paper")
        .set_error_handler(move |name, _| {
            drop(tell.send(name.to_owned()));
            panic!("out of ink");
        });
    let mut handle = fast(registry.runner(db.pool())).await;
    for _ in 0..2 {
        let id = only_context.builder().spawn(db.pool()).await.unwrap();
        until(db.pool(), id, "dead").await;
    }
    handle.stop().await;
    assert_eq!(told.recv().await.as_deref(), Some("only context"));
    assert_eq!(told.recv().await.as_deref(), Some("only context"));
}
