//! The program of 0.6's users, against this version. `cargo xtask surface` runs it against 0.6.0 as well.

#[path = "surface/program.rs"]
#[allow(
    missing_docs,
    clippy::disallowed_methods,
    reason = "written as users of 0.6 wrote"
)]
mod program;

#[tokio::test]
async fn a_program_written_for_0_6_runs() {
    let database = devpg::TestDb::create(sqlxmq::migrator()).await;
    program::run(database.pool())
        .await
        .expect("the program runs to its end");
    database.close().await;
}
