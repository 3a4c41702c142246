//! Installs 0.6.0 in the empty database at `DATABASE_URL` and runs the program of its users. With the argument
//! `latency N` it prints how many microseconds each of N jobs took to start instead.

use std::error::Error;
use std::path::Path;

use sqlx::PgPool;
use sqlx::migrate::Migrator;

#[path = "../../latency.rs"]
mod latency;
#[path = "../../program.rs"]
mod program;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let url = std::env::var("DATABASE_URL").map_err(|_| "DATABASE_URL names no empty database to run in")?;
    let pool = PgPool::connect(&url).await?;
    Migrator::new(Path::new(env!("SQLXMQ_MIGRATIONS"))).await?.run(&pool).await?;
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [what, jobs] = &arguments[..] {
        assert_eq!(what, "latency");
        for latency in latency::measure(&pool, jobs.parse()?).await? {
            println!("{}", latency.as_micros());
        }
        return Ok(());
    }
    program::run(&pool).await?;
    println!("the program of 0.6 ran against sqlxmq 0.6.0");
    Ok(())
}
