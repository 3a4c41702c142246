//! Versions of payloads: older ones are upgraded when claimed, newer ones are left to newer programs.

use devpg::eventually;
use sqlx::AssertSqlSafe;
use sqlxmq::{BoxError, Checkpoint, CurrentJob, JobBuilder, Json, job};
use uuid::Uuid;

use crate::support::{errors, fast, queue, run, state, until};

/// The program before the last one.
mod first {
    use super::*;

    #[job("greet")]
    pub async fn greet(Json(name): Json<String>) -> Result<(), String> {
        Err(format!("v1 got {name}"))
    }
}

mod second {
    use super::*;

    #[derive(serde::Serialize, serde::Deserialize)]
    pub struct Name {
        pub name: String,
    }

    pub fn from_v1(name: String) -> Name {
        Name { name }
    }

    #[job("greet", retries = 0, version = 2, upgrade = from_v1)]
    pub async fn greet(Json(who): Json<Name>, _job: CurrentJob) -> Result<(), String> {
        Err(format!("v2 got {}", who.name))
    }
}

mod third {
    use super::second::Name;
    use super::*;

    #[derive(serde::Serialize, serde::Deserialize)]
    pub struct Names(pub Vec<String>);

    fn from_v2(name: Name) -> Result<Names, BoxError> {
        match name.name.is_empty() {
            true => Err("nobody has no name".into()),
            false => Ok(Names(vec![name.name])),
        }
    }

    #[job("greet", retries = 0, version = 3, upgrade(super::second::from_v1, from_v2))]
    pub async fn greet(Json(who): Json<Names>) -> Result<(), String> {
        Err(format!("v3 got {:?}", who.0))
    }

    #[job("greet", version = 3, upgrade = from_v2)]
    pub async fn greet_from_the_second(Json(_): Json<Names>) {}
}

async fn error_of(pool: &sqlx::PgPool, id: uuid::Uuid) -> String {
    until(pool, id, "dead").await;
    errors(pool, id).await.concat()
}

fn stored_name(builder: &JobBuilder<'_, impl Sized>) -> String {
    builder.as_ref().name().to_owned()
}

#[tokio::test]
async fn older_payloads_are_upgraded_when_they_are_claimed() {
    let db = queue().await;
    let pip = second::Name {
        name: "Pip".to_owned(),
    };
    let mut handle = run(db.pool(), &[third::greet]).await;
    let mut old = first::greet.builder(&"Pip".to_owned());
    let one = old.set_retries(0).spawn(db.pool()).await.unwrap();
    let two = second::greet.builder(&pip).spawn(db.pool()).await.unwrap();
    let three = third::greet.builder(&third::Names(vec!["Pip".to_owned(), "Ada".to_owned()]));
    let three = three.spawn(db.pool()).await.unwrap();
    assert_eq!(error_of(db.pool(), one).await, "v3 got [\"Pip\"]");
    assert_eq!(error_of(db.pool(), two).await, "v3 got [\"Pip\"]");
    assert_eq!(error_of(db.pool(), three).await, "v3 got [\"Pip\", \"Ada\"]");
    handle.stop().await;
}

#[tokio::test]
async fn a_payload_that_cannot_be_upgraded_is_dead_at_once_with_the_reason() {
    let db = queue().await;
    let nobody = first::greet
        .builder(&String::new())
        .spawn(db.pool())
        .await
        .unwrap();
    let mut handle = run(db.pool(), &[third::greet]).await;
    assert_eq!(
        error_of(db.pool(), nobody).await,
        "failed to upgrade the payload from version 2: nobody has no name"
    );
    handle.stop().await;

    let pip = first::greet
        .builder(&"Pip".to_owned())
        .spawn(db.pool())
        .await
        .unwrap();
    let mut handle = run(db.pool(), &[third::greet_from_the_second]).await;
    let error = error_of(db.pool(), pip).await;
    assert!(
        error.starts_with("version 1 of the payload is no longer upgraded"),
        "{error}"
    );
    handle.stop().await;
}

#[tokio::test]
async fn a_newer_payload_is_left_to_a_newer_program() {
    let db = queue().await;
    let new = third::greet.builder(&third::Names(vec!["Ada".to_owned()]));
    assert_eq!(stored_name(&new), "greet@v3");
    let new = new.spawn(db.pool()).await.unwrap();
    let mut old_program = run(db.pool(), &[second::greet]).await;
    // By the time it has done with a later one, it would have claimed the earlier.
    let marker = first::greet.builder(&"Pip".to_owned());
    let marker = marker.clone().set_retries(0).spawn(db.pool()).await.unwrap();
    assert_eq!(error_of(db.pool(), marker).await, "v2 got Pip");
    assert_eq!(state(db.pool(), new).await, "ready");
    old_program.stop().await;

    let mut new_program = run(db.pool(), &[third::greet]).await;
    assert_eq!(error_of(db.pool(), new).await, "v3 got [\"Ada\"]");
    new_program.stop().await;
}

mod steps {
    use super::*;

    #[job("steps", backoff_secs = 0)]
    pub async fn first(Json(_step): Json<u32>) -> Result<(), BoxError> {
        Ok(())
    }

    #[derive(serde::Serialize, serde::Deserialize)]
    pub struct Step {
        pub at: u32,
    }

    fn from_v1(at: u32) -> Step {
        Step { at }
    }

    #[job("steps", backoff_secs = 0, version = 2, upgrade = from_v1)]
    pub async fn second(Json(step): Json<Step>, job: &mut CurrentJob) -> Result<(), BoxError> {
        if job.attempt() == 1 {
            let mut checkpoint = Checkpoint::new();
            checkpoint.set_json(&Step { at: step.at + 1 })?;
            job.checkpoint(&checkpoint).await?;
            return Err(format!("stopped at {}", step.at).into());
        }
        assert_eq!(job.raw_json(), Some("{\"at\":8}"), "without the mark");
        Ok(())
    }
}

#[tokio::test]
async fn a_checkpoint_of_an_upgraded_job_is_of_the_new_version() {
    let db = queue().await;
    let id = steps::first.builder(&7).spawn(db.pool()).await.unwrap();
    let mut handle = run(db.pool(), &[steps::second]).await;
    until(db.pool(), id, "").await;
    handle.stop().await;
}

#[tokio::test]
async fn a_checkpoint_of_a_newer_program_gives_the_job_back_with_its_attempt() {
    let db = queue().await;
    let id = steps::first.builder(&7).spawn(db.pool()).await.unwrap();
    // As a newer program leaves it behind that has claimed the job, got so far and was stopped.
    let newer = Uuid::now_v7();
    for statement in [
        format!("select mq_register('{newer}', '1 hour', 'a newer program')"),
        format!("select mq_claim_by_name('{newer}', 1, 1, 1000, null, false, null, false)"),
        format!(
            "select mq_checkpoint('{newer}', '{id}', 1, '{{\"mq_payload_version\":2,\"payload\":{{\"at\":8}}}}', null, 0, '0')"
        ),
        format!("select mq_unregister('{newer}')"),
    ] {
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(db.pool())
            .await
            .unwrap();
    }
    let mut older = run(db.pool(), &[steps::first]).await;
    eventually("the job to be given back", async || {
        let seen: Option<i32> = sqlx::query_scalar("select attempts from mq_scheduled where id = $1")
            .bind(id)
            .fetch_optional(db.pool())
            .await
            .unwrap();
        if seen == Some(0) {
            Ok(())
        } else {
            Err(format!("{seen:?}"))
        }
    })
    .await;
    older.stop().await;
    assert!(errors(db.pool(), id).await.is_empty());
}

#[job("named", retries = 0, version = 2, upgrade = second::from_v1)]
async fn named(Json(_): Json<second::Name>, job: &CurrentJob) -> Result<(), String> {
    Err(job.name().to_owned())
}

#[tokio::test]
async fn a_version_is_in_the_name_wherever_it_was_read_from_the_database() {
    let db = queue().await;
    let (told, mut hears) = tokio::sync::mpsc::unbounded_channel();
    let mut registry = sqlxmq::JobRegistry::new(&[named]);
    assert_eq!(registry.resolve_job("named@v2").unwrap().name(), "named");
    registry.set_error_handler(move |name, _| told.send(name.to_owned()).unwrap());
    let mut handle = fast(registry.runner(db.pool())).await;

    let pip = second::Name {
        name: "Pip".to_owned(),
    };
    let new = named.builder(&pip).spawn(db.pool()).await.unwrap();
    assert_eq!(error_of(db.pool(), new).await, "named@v2");
    assert_eq!(hears.recv().await.as_deref(), Some("named@v2"));
    let dead = sqlxmq::dead_jobs(db.pool(), 10, None).await.unwrap();
    assert_eq!(dead[0].name, "named@v2");

    let mut old = JobBuilder::new("named");
    old.set_retries(0).set_json("Pip").unwrap();
    let old = old.spawn(db.pool()).await.unwrap();
    assert_eq!(error_of(db.pool(), old).await, "named");
    handle.stop().await;
}
