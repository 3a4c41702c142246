//! Signing up sends a letter.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use example_app::mail::MailError;
use example_app::sign_up::{Welcome, welcome};
use sqlxmq::testing::Ended;
use sqlxmq::{assert_spawned, refute_spawned};

use super::support::{Accident, App};

const ADA: &str = r#"{"email": "ada@example.org"}"#;

#[tokio::test]
async fn a_sign_up_sends_one_letter() {
    let app = App::start().await;
    assert_eq!(app.send("POST", "/sign-up", ADA).await.0, StatusCode::CREATED);
    assert_spawned!(app.pool(), welcome, payload matches Welcome { user: 1 });
    assert_eq!(app.queue.complete_all(&app.jobs).await, 1);
    let letters = app.letters.sent();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].to, "ada@example.org");
}

#[tokio::test]
async fn a_sign_up_that_is_refused_spawns_nothing() {
    let app = App::start().await;
    app.send("POST", "/sign-up", ADA).await;
    app.queue.complete_all(&app.jobs).await;
    assert_eq!(app.send("POST", "/sign-up", ADA).await.0, StatusCode::CONFLICT);
    refute_spawned!(app.pool(), welcome);
}

#[tokio::test]
async fn a_sign_up_that_is_not_committed_spawns_nothing() {
    let app = App::start().await;
    sqlx::raw_sql(
        "create function refuse() returns trigger language plpgsql as $$ begin raise 'not today'; end $$;
         create constraint trigger refuse after insert on users deferrable initially deferred
         for each row execute function refuse();",
    )
    .execute(app.pool())
    .await
    .unwrap();
    let (status, _) = app.send("POST", "/sign-up", ADA).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    refute_spawned!(app.pool(), welcome);
}

#[tokio::test]
async fn a_busy_mail_server_is_asked_again_five_minutes_later() {
    let app = App::start().await;
    app.send("POST", "/sign-up", ADA).await;
    app.letters.happens_next(Accident::Fails(MailError::Busy));
    let ran = app.queue.drain(&app.jobs).await;
    let after = Duration::from_secs(300);
    assert_eq!(ran[0].ended, Ended::Retries { after });

    app.queue.advance(after - Duration::from_secs(1)).await;
    assert_eq!(app.queue.run_one(&app.jobs).await, None);
    app.queue.advance(Duration::from_secs(1)).await;
    assert_eq!(app.queue.complete_all(&app.jobs).await, 1);
    assert_eq!(app.letters.sent().len(), 1);
}

#[tokio::test]
async fn an_address_that_is_refused_is_not_tried_again() {
    let app = App::start().await;
    app.send("POST", "/sign-up", ADA).await;
    app.letters.happens_next(Accident::Fails(MailError::Refused));
    let ran = app.queue.drain(&app.jobs).await;
    assert_eq!(ran[0].ended, Ended::Dead);
    assert_eq!(
        ran[0].error.as_deref(),
        Some("the letter could not be sent: the address was refused")
    );
}

#[tokio::test]
async fn a_letter_that_is_sent_twice_has_the_same_id() {
    let app = App::start().await;
    app.send("POST", "/sign-up", ADA).await;
    app.letters
        .happens_next(Accident::LosesLease(Arc::clone(&app.queue)));
    let ended: Vec<Ended> = app
        .queue
        .drain(&app.jobs)
        .await
        .iter()
        .map(|one| one.ended)
        .collect();
    assert_eq!(ended, [Ended::Lost, Ended::Completed]);
    let letters = app.letters.sent();
    assert_eq!(letters.len(), 2);
    assert_eq!(letters[0], letters[1]);
}
