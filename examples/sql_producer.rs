//! Runs jobs that no Rust code has spawned: one comes from a plain SQL statement, as `psql` or any other language
//! would send it, one from a trigger.

use anyhow::bail;
use serde::Deserialize;
use sqlxmq::{CurrentJob, job, registry};
use uuid::Uuid;

mod support;

#[derive(Deserialize)]
struct Mail {
    to: String,
    text: String,
}

// A name of its own: SQL should not have to know where a Rust function stands.
#[job("send_mail", channel_name = "mail")]
async fn send_mail(mut current_job: CurrentJob) -> anyhow::Result<()> {
    let Some(Mail { to, text }) = current_job.json()? else {
        bail!("no mail")
    };
    println!("to {to}: {text}");
    current_job.complete().await?;
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let database = support::Database::open().await?;
    let pool = &database.pool;
    sqlx::raw_sql(
        "drop table if exists example_users;
         create table example_users (name text primary key, welcome uuid);

         create or replace function example_welcome() returns trigger language plpgsql as $$
         begin
           new.welcome := mq_spawn(
             'send_mail',
             payload => json_build_object('to', new.name, 'text', 'welcome!'),
             channel_name => 'mail'
           );
           return new;
         end $$;

         create trigger example_welcome before insert on example_users
           for each row execute function example_welcome();",
    )
    .execute(pool)
    .await?;
    let _runner = registry().runner(pool).run().await?;

    let by_statement: Uuid = sqlx::query_scalar(
        r#"select mq_spawn('send_mail', payload => '{"to": "ada", "text": "from plain SQL"}', retries => 2)"#,
    )
    .fetch_one(pool)
    .await?;
    support::finished(pool, &[by_statement]).await?;

    let by_trigger: Uuid =
        sqlx::query_scalar("insert into example_users (name) values ('grace') returning welcome")
            .fetch_one(pool)
            .await?;
    support::finished(pool, &[by_trigger]).await
}
