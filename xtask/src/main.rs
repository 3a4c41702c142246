//! Chores of the repository, one file per command: `cargo xtask help`.

mod api;
mod bench;
mod chaos;
mod ci;
mod deny;
mod examples;
mod latency;
mod migrate;
mod migrations;
mod mistakes;
mod model;
mod pg_matrix;
mod readme;
mod report;
mod sabotage;
mod schema;
mod sequences;
mod shell;
mod surface;

use clap::{Parser, Subcommand};

/// Chores of the sqlxmq repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    Migrate(migrate::Arguments),
    Readme(readme::Arguments),
    Schema(schema::Arguments),
    Api(api::Arguments),
    Examples(examples::Arguments),
    Ci(ci::Arguments),
    Deny(deny::Arguments),
    PgMatrix(pg_matrix::Arguments),
    Sabotage(sabotage::Arguments),
    Sequences(sequences::Arguments),
    Mistakes(mistakes::Arguments),
    Surface(surface::Arguments),
    Latency(latency::Arguments),
    Bench(bench::Arguments),
    Model(model::Arguments),
    Chaos(chaos::Arguments),
    #[command(hide = true)]
    ChaosRunner(chaos::worker::Arguments),
    #[command(hide = true)]
    ChaosSpawner(chaos::spawner::Arguments),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().chore {
        Chore::Migrate(arguments) => migrate::run(&arguments),
        Chore::Readme(arguments) => readme::run(&arguments),
        Chore::Api(arguments) => api::run(&arguments),
        Chore::Schema(arguments) => schema::run(&arguments),
        Chore::Examples(arguments) => examples::run(&arguments),
        Chore::Ci(arguments) => ci::run(&arguments),
        Chore::Deny(arguments) => deny::run(&arguments),
        Chore::PgMatrix(arguments) => pg_matrix::run(&arguments),
        Chore::Sabotage(arguments) => sabotage::run(&arguments),
        Chore::Sequences(arguments) => sequences::run(&arguments),
        Chore::Mistakes(arguments) => mistakes::run(&arguments),
        Chore::Surface(arguments) => surface::run(&arguments),
        Chore::Latency(arguments) => latency::run(&arguments),
        Chore::Bench(arguments) => bench::run(&arguments),
        Chore::Model(arguments) => model::run(&arguments),
        Chore::Chaos(arguments) => chaos::run(&arguments),
        Chore::ChaosRunner(arguments) => chaos::worker::run(&arguments),
        Chore::ChaosSpawner(arguments) => chaos::spawner::run(&arguments),
    }
}
