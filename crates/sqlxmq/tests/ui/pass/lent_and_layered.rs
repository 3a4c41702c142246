//! Lent arguments in every position and spelling, and every form of a layer.

#![deny(warnings)]

use sqlxmq::{
    BoxError, Bytes, CurrentJob, JobEnd, JobInput, JobRegistry, JobTx, Json, LendToJob, Next, Outcome, job,
};

#[job]
async fn alone(tx: &mut JobTx) -> Result<(), sqlx::Error> {
    sqlx::query("select 1").execute(&mut **tx).await?;
    Ok(())
}

#[job]
async fn with_the_job(_number: u8, tx: &mut JobTx, job: &mut CurrentJob) -> Result<Outcome, BoxError> {
    alone.builder().spawn(&mut **tx).await?;
    job.keep_alive(std::time::Duration::from_secs(60)).await?;
    Ok(Outcome::Done)
}

#[job]
async fn of_any_name<'a>(
    _payload: Json<String>,
    _tx: &'a mut sqlxmq::JobTx,
    _other: &'a mut Other<&'static str>,
    _bytes: Bytes,
    _job: &'a CurrentJob,
) {
}

struct Other<T>(T);

impl LendToJob for Other<&'static str> {
    type Error = std::convert::Infallible;

    async fn begin(_input: &JobInput<'_>) -> Result<Self, Self::Error> {
        Ok(Self("lent"))
    }

    async fn finish(self, _end: &mut JobEnd) -> Result<(), Self::Error> {
        assert_eq!(self.0, "lent");
        Ok(())
    }
}

async fn plain(job: CurrentJob, next: Next) -> JobEnd {
    next.run(job).await
}

async fn fallible(job: CurrentJob, next: Next) -> Result<JobEnd, sqlx::Error> {
    Ok(next.run(job).await)
}

fn boxed() -> impl Fn(CurrentJob, Next) -> std::pin::Pin<Box<dyn Future<Output = JobEnd> + Send>> {
    |job, next| Box::pin(next.run(job))
}

fn main() {
    let mut registry = JobRegistry::new(&[alone, with_the_job, of_any_name]);
    let text = String::from("state");
    registry
        .add_layer(plain)
        .add_layer(fallible)
        .add_layer(boxed())
        .add_layer(async |job: CurrentJob, next: Next| next.run(job).await)
        .add_layer(move |job: CurrentJob, next: Next| {
            let _text = text.clone();
            async move { next.run(job).await }
        })
        .promise_context::<u8>();
}
