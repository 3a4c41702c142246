//! A report is made page by page.

use axum::http::StatusCode;
use example_app::reports::{Line, PAGE, count_users};
use sqlxmq::assert_spawned;
use sqlxmq::testing::Ended;

use super::support::App;

#[tokio::test]
async fn an_attempt_that_fails_at_the_end_is_continued_and_nobody_is_counted_twice() {
    let app = App::start().await;
    let users = PAGE * 2 + 50;
    sqlx::query(
        "insert into users (email) select 'user' || n || '@example.org' from generate_series(1, $1) as n",
    )
    .bind(users)
    .execute(app.pool())
    .await
    .unwrap();
    let (status, report) = app.send("POST", "/reports", "").await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let path = format!("/reports/{report}");
    assert_eq!(app.send("GET", &path, "").await.0, StatusCode::TOO_EARLY);

    // The last commit of the first attempt fails: the pages before it are there.
    app.queue.fail_next_complete().await;
    let ran = app.queue.drain(&app.jobs).await;
    assert!(matches!(ran[0].ended, Ended::Retries { .. }), "{ran:?}");
    assert_eq!(ran[0].id.to_string(), report);
    assert_spawned!(app.pool(), count_users);

    app.queue.advance_to_next().await;
    let ran = app.queue.drain(&app.jobs).await;
    assert_eq!((ran[0].attempt, ran[0].ended), (2, Ended::Completed));
    let (status, lines) = app.send("GET", &path, "").await;
    assert_eq!(status, StatusCode::OK);
    let lines: Vec<Line> = serde_json::from_str(&lines).unwrap();
    let domain = "example.org".to_owned();
    assert_eq!(lines, [Line { domain, users }]);
}
