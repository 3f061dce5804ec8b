//! `cargo webhooks`: the command line. Each command is a file in `commands`.

mod commands {
    pub(crate) mod broker;
    pub(crate) mod check;
    pub(crate) mod completions;
    pub(crate) mod console;
    pub(crate) mod costs;
    pub(crate) mod decide;
    pub(crate) mod demo;
    pub(crate) mod export;
    pub(crate) mod fetch;
    pub(crate) mod list;
    pub(crate) mod parked;
    pub(crate) mod pause;
    pub(crate) mod reconcile;
    pub(crate) mod redrive;
    pub(crate) mod resume;
    pub(crate) mod send;
    pub(crate) mod show;
    pub(crate) mod stats;
    pub(crate) mod tail;
    pub(crate) mod r#try;
    pub(crate) mod up;
}

mod console;
mod costs;
mod credentials;
mod deployment;
mod effect;
mod event;
mod exit;
mod find;
mod groups;
mod moment;
mod operator;
mod output;
mod own;
mod paint;
mod provider;
mod request;
mod running;
mod stop;
mod webhooks_toml;
mod which;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use commands::{
    broker, check, completions, console as console_command, costs as costs_command, decide, demo, export,
    fetch, list, parked, pause, reconcile, redrive, resume, send, show, stats, tail, r#try, up,
};

/// DriftQ webhooks: configure, try, run and inspect webhooks.
#[derive(Debug, Parser)]
#[command(name = "webhooks", bin_name = "cargo webhooks", after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Demonstrate that each webhook is done exactly once while processes are killed.
    Demo(demo::Args),
    /// Report every error in a webhooks.toml.
    Check(check::Args),
    /// Show what a webhook would start, and the exact calls, without making them.
    Try(r#try::Args),
    /// Run everything on this machine and print each event, until Ctrl-C.
    Up(up::Args),
    /// Sign a sample webhook and post it to a running `up`.
    Send(send::Args),
    /// List effects, the newest first.
    List(list::Args),
    /// Show one run in full, by the id of the run, the event or an effect.
    Show(show::Args),
    /// Print effects when they arrive and when they end, until Ctrl-C.
    Tail(tail::Args),
    /// Count the effects of each step by state.
    Stats(stats::Args),
    /// Show parked effects, in groups.
    Parked(parked::Args),
    /// Decide about many parked effects at once, after a plan and a confirmation.
    Decide(decide::Args),
    /// Do effects again that are done or discarded.
    Redrive(redrive::Args),
    /// Run the console: web pages on this machine that show effects and offer decisions.
    Console(console_command::Args),
    /// Fetch real events from a provider, and send them to a running `up` without a tunnel.
    Fetch(fetch::Args),
    /// Recover events that did not arrive from their provider, after a plan and a confirmation.
    Reconcile(reconcile::Args),
    /// Export all records of a period, for an audit.
    Export(export::Args),
    /// Print the completion script for a shell.
    Completions(completions::Args),
    /// Stop all side effects for now; webhooks are still accepted.
    Pause(pause::Args),
    /// End a pause.
    Resume(resume::Args),
    /// Compute the cost of a month for a number of webhooks.
    Costs(costs_command::Args),
    /// Run only the DriftQ-compatible broker.
    Broker(broker::Args),
}

const AFTER_HELP: &str = "\
Examples:
  cargo webhooks demo
  cargo webhooks up

Environment of demo and up:
  FUNCTIONS_DIR    the binaries to run (ingest and consumer, or ingest/bootstrap and so on); built now if not set
  WEBHOOKS_CONFIG  another webhooks.toml; its calls still go to the local third party
  DRIFTQ_HTTP_URL  a running broker, instead of the embedded one
  EFFECTS_TABLE    an existing DynamoDB table, with AWS_... variables to reach it
  Other variables of the functions, such as IDLE_EXIT and EVENTS_TOPIC, are passed on to them.";

#[tokio::main]
async fn main() -> ExitCode {
    let ended = match Cli::parse().command {
        Command::Demo(args) => demo::run(args).await.map(fine),
        Command::Check(args) => check::run(&args),
        Command::Try(args) => r#try::run(args).await,
        Command::Up(args) => up::run(args).await,
        Command::Send(args) => send::run(args).await,
        Command::List(args) => list::run(args).await,
        Command::Show(args) => show::run(args).await,
        Command::Tail(args) => tail::run(args).await,
        Command::Stats(args) => stats::run(args).await,
        Command::Parked(args) => parked::run(args).await,
        Command::Decide(args) => decide::run(args).await,
        Command::Redrive(args) => redrive::run(args).await,
        Command::Console(args) => console_command::run(args).await,
        Command::Fetch(args) => fetch::run(args).await,
        Command::Reconcile(args) => reconcile::run(args).await,
        Command::Export(args) => export::run(args).await,
        Command::Completions(args) => completions::run(&args, Cli::command()),
        Command::Pause(args) => pause::run(args).await,
        Command::Resume(args) => resume::run(args).await,
        Command::Costs(args) => costs_command::run(&args),
        Command::Broker(args) => broker::run(args).await.map(fine),
    };
    ended.unwrap_or_else(|error| exit::failed(&error))
}

fn fine(_: ()) -> ExitCode {
    ExitCode::SUCCESS
}
