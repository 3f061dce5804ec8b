//! `cargo run --release -p bench`: measures everything that costs time, each beside a measured bound.

mod commands {
    pub(crate) mod bench;
    pub(crate) mod instructions;
    pub(crate) mod measure;
    pub(crate) mod pace;
}

use clap::{Parser, Subcommand};
use commands::{bench, instructions, measure, pace};

/// Measure everything beside what bounds it, in a few minutes.
#[derive(Debug, Parser)]
#[command(name = "bench", args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Count instructions instead, by valgrind, and compare them with bench/instructions.toml.
    #[arg(long, exclusive = true)]
    instructions: bool,
    #[command(flatten)]
    bench: bench::Args,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure start-up, memory and size of the release binaries.
    Measure(measure::Args),
    /// Measure how many messages per second the broker accepts and delivers, with their acks.
    Pace(pace::Args),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    match cli.command {
        None if cli.instructions => instructions::run().await,
        None => bench::run(cli.bench).await,
        Some(Command::Measure(args)) => measure::run(args).await,
        Some(Command::Pace(args)) => pace::run(args).await,
    }
}
