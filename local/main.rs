//! `cargo run -p local`: the whole system on this machine. Without a command it brings everything up.

mod commands {
    pub(crate) mod bench;
    pub(crate) mod broker;
    pub(crate) mod demo;
    pub(crate) mod generation;
    pub(crate) mod measure;
    pub(crate) mod pace;
    pub(crate) mod send;
    pub(crate) mod up;
}

use clap::{Parser, Subcommand};
use commands::{bench, broker, demo, measure, pace, send, up};

/// DriftQ webhooks on this machine: the real functions as processes, with everything around them. No Docker, no AWS.
#[derive(Debug, Parser)]
#[command(name = "local", args_conflicts_with_subcommands = true, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    up: up::Args,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Bring everything up and tell what happens, until Ctrl-C (the default).
    Up(up::Args),
    /// Sign a sample webhook and post it to what `up` brought up.
    Send(send::Args),
    /// See webhooks become calls, exactly once, while things are killed.
    Demo(demo::Args),
    /// Run only the DriftQ-compatible broker.
    Broker(broker::Args),
    /// Measure start-up, memory and size of the release binaries.
    Measure(measure::Args),
    /// Measure everything beside what bounds it, in a few minutes.
    Bench(bench::Args),
    /// Measure how many messages a second the broker takes, delivers and has acked.
    Pace(pace::Args),
}

const AFTER_HELP: &str = "\
Environment:
  FUNCTIONS_DIR    binaries to run (ingest and consumer, or ingest/bootstrap and so on); else they are built now
  WEBHOOKS_CONFIG  another webhooks.toml; its calls go to the local third party all the same
  DRIFTQ_HTTP_URL  a broker that runs already, instead of the embedded one
  EFFECTS_TABLE    a DynamoDB table that is there already, with AWS_... variables to reach it
  Further variables of the functions, such as IDLE_EXIT and EVENTS_TOPIC, are passed on to them.";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    match cli.command.unwrap_or(Command::Up(cli.up)) {
        Command::Up(args) => up::run(args).await,
        Command::Send(args) => send::run(args).await,
        Command::Demo(args) => demo::run(args).await,
        Command::Broker(args) => broker::run(args).await,
        Command::Measure(args) => measure::run(args).await,
        Command::Bench(args) => bench::run(args).await,
        Command::Pace(args) => pace::run(args).await,
    }
}
