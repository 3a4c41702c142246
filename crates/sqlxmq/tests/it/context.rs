//! The arguments behind the job: values by type, asked for before anything runs.

use std::error::Error;
use std::sync::Arc;

use sqlx::PgPool;
use sqlxmq::{CurrentJob, JobRegistry, job};

#[job("needs context")]
async fn needs_context(_job: CurrentJob, _text: &str, _shared: Arc<u128>) -> Result<(), std::fmt::Error> {
    Ok(())
}

/// The errors of a start that nothing but the registry can refuse: there is no such server.
async fn refusal(registry: JobRegistry) -> String {
    let pool = PgPool::connect_lazy("postgres://nobody@localhost:1/nothing").expect("a valid address");
    let error = registry.runner(&pool).run().await.expect_err("it cannot start");
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[tokio::test]
async fn a_runner_refuses_to_start_without_the_context_of_its_jobs() {
    let mut registry = JobRegistry::new(&[needs_context]);
    registry.set_context("text");
    let refusal = refusal(registry).await;
    assert!(refusal.contains("needs context"), "{refusal}");
    assert!(refusal.contains("Arc<u128>"), "{refusal}");
}

#[tokio::test]
async fn an_elided_reference_is_static_context() {
    let mut registry = JobRegistry::new(&[needs_context]);
    registry.set_context(Arc::new(1_u128));
    let refusal = refusal(registry).await;
    assert!(refusal.contains("`&str`"), "{refusal}");
}

#[job("borrows")]
async fn borrows(_settings: &Vec<u128>) {}

#[tokio::test]
async fn a_borrowed_context_that_is_missing_is_told_to_be_taken_by_value() {
    let mut registry = JobRegistry::new(&[borrows]);
    registry.set_context(vec![1_u128]);
    let refusal = refusal(registry).await;
    assert!(
        refusal.contains("take `alloc::vec::Vec<u128>` by value"),
        "{refusal}"
    );
}

#[tokio::test]
async fn two_jobs_of_one_name_are_told_to_be_named() {
    mod others {
        #[sqlxmq::job("needs context")]
        pub async fn other() {}
    }
    let refusal = refusal(JobRegistry::new(&[needs_context, others::other])).await;
    assert!(refusal.contains("give one of them another name"), "{refusal}");
}
