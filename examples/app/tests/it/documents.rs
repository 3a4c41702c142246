//! Versions of a document are published in order.

use axum::http::StatusCode;
use example_app::documents::{Published, count_words, publish};
use sqlxmq::assert_spawned;
use sqlxmq::testing::Ended;

use super::support::App;

const DOCUMENT: &str = "/documents/5a0ab1e5-0000-4000-8000-000000000001";

async fn published(app: &App) -> Option<Published> {
    let (status, body) = app.send("GET", DOCUMENT, "").await;
    (status == StatusCode::OK).then(|| serde_json::from_str(&body).unwrap())
}

#[tokio::test]
async fn each_version_is_counted_before_it_is_published_and_published_before_the_next_is_counted() {
    let app = App::start().await;
    for (text, version) in [("one", "1"), ("one two", "2")] {
        let (status, number) = app.send("PUT", DOCUMENT, text).await;
        assert_eq!((status, number.as_str()), (StatusCode::ACCEPTED, version));
    }
    assert_spawned!(app.pool(), publish, payload matches payload if payload.version == 2);
    assert_eq!(published(&app).await, None);

    let mut names = Vec::new();
    while let Some(ran) = app.queue.run_one(&app.jobs).await {
        assert_eq!(ran.ended, Ended::Completed);
        names.push(ran.name);
        if names.len() == 2 {
            assert_eq!(
                published(&app).await,
                Some(Published {
                    version: 1,
                    words: Some(1)
                })
            );
        }
    }
    let in_order = [
        count_words.name(),
        publish.name(),
        count_words.name(),
        publish.name(),
    ];
    assert_eq!(names, in_order);
    assert_eq!(
        published(&app).await,
        Some(Published {
            version: 2,
            words: Some(2)
        })
    );
}

#[tokio::test]
async fn a_step_that_is_tried_again_holds_up_its_document_and_no_other() {
    let app = App::start().await;
    app.send("PUT", DOCUMENT, "one").await;
    app.queue.fail_next_complete().await;
    let ran = app.queue.drain(&app.jobs).await;
    assert_eq!(ran.len(), 1);
    assert!(matches!(ran[0].ended, Ended::Retries { .. }), "{ran:?}");

    let other = "/documents/5a0ab1e5-0000-4000-8000-000000000002";
    app.send("PUT", other, "one two three").await;
    assert_eq!(app.queue.complete_all(&app.jobs).await, 2);
    assert_eq!(app.send("GET", other, "").await.0, StatusCode::OK);
    assert_eq!(published(&app).await, None);

    app.queue.advance_to_next().await;
    assert_eq!(app.queue.complete_all(&app.jobs).await, 2);
    assert_eq!(published(&app).await.map(|it| it.version), Some(1));
}
