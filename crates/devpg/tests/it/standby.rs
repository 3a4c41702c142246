//! A standby has what its primary has acknowledged, and takes its place.

use devpg::DevPg;
use sqlx::{Connection, PgConnection};

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.expect("a connection")
}

#[tokio::test]
async fn a_promoted_standby_has_every_commit_that_its_primary_acknowledged() {
    let primary = DevPg::builder().durable().start().expect("a server");
    let mut on_primary = connect(&primary.url("postgres")).await;
    sqlx::raw_sql("create table kept as select 0 as number")
        .execute(&mut on_primary)
        .await
        .expect("a table");
    let standby = primary.standby().await.expect("a standby");
    let refused = sqlx::query("insert into kept values (-1)")
        .execute(&mut connect(&standby.url("postgres")).await)
        .await
        .expect_err("a standby is read-only");
    assert_eq!(
        refused.as_database_error().and_then(|e| e.code()).as_deref(),
        Some("25006")
    );
    for number in 1..=100 {
        sqlx::query("insert into kept values ($1)")
            .bind(number)
            .execute(&mut on_primary)
            .await
            .expect("a commit");
    }
    drop(primary);

    let mut promoted = standby.promote().await.expect("a server of its own");

    let mut connection = connect(&promoted.url("postgres")).await;
    let kept: i64 = sqlx::query_scalar("select count(*) from kept where number > 0")
        .fetch_one(&mut connection)
        .await
        .expect("the table");
    assert_eq!(kept, 100);
    sqlx::query("insert into kept values (101)")
        .execute(&mut connection)
        .await
        .expect("it can be written to");

    promoted.restart_immediately().expect("a restart");
    sqlx::query("insert into kept values (102)")
        .execute(&mut connect(&promoted.url("postgres")).await)
        .await
        .expect("it stays a primary");
}
