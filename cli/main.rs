//! `cargo webhooks`: everything that a person types. A command is a file below `commands`.

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

/// DriftQ webhooks: try it, write it, run it, see what it did.
#[derive(Debug, Parser)]
#[command(name = "webhooks", bin_name = "cargo webhooks", after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// See webhooks become calls, exactly once, while things are killed.
    Demo(demo::Args),
    /// Say everything that is wrong with a webhooks.toml.
    Check(check::Args),
    /// Say what a webhook would start, and what exactly would be called; nothing is.
    Try(r#try::Args),
    /// Bring everything up on this machine and tell what happens, until Ctrl-C.
    Up(up::Args),
    /// Sign a sample webhook and post it to what `up` brought up.
    Send(send::Args),
    /// List effects, the newest first.
    List(list::Args),
    /// Show all that is known of one run, by whichever id.
    Show(show::Args),
    /// Tell about effects as they come, and again when they come to something, until Ctrl-C.
    Tail(tail::Args),
    /// Count the effects of each step by where they stand.
    Stats(stats::Args),
    /// Show what waits for a person, in groups.
    Parked(parked::Args),
    /// Decide about many parked effects at once: plan, confirm, do.
    Decide(decide::Args),
    /// Put done effects to work again: what has happened happens again.
    Redrive(redrive::Args),
    /// Open the console: pages on this machine that show what happened, what waits, and what to decide.
    Console(console_command::Args),
    /// Fetch real events from a provider, and send them to what `up` brought up: no tunnel is needed.
    Fetch(fetch::Args),
    /// Ask a provider for what did not arrive: plan, confirm, do.
    Reconcile(reconcile::Args),
    /// Export everything on record of a time, for an audit.
    Export(export::Args),
    /// Print the completions of a shell.
    Completions(completions::Args),
    /// Stop all side effects for now; webhooks are still accepted.
    Pause(pause::Args),
    /// End a pause.
    Resume(resume::Args),
    /// Compute what a month costs, for as many webhooks.
    Costs(costs_command::Args),
    /// Run only the DriftQ-compatible broker.
    Broker(broker::Args),
}

const AFTER_HELP: &str = "\
Examples:
  cargo webhooks demo
  cargo webhooks up

Environment of demo and up:
  FUNCTIONS_DIR    binaries to run (ingest and consumer, or ingest/bootstrap and so on); else they are built now
  WEBHOOKS_CONFIG  another webhooks.toml; its calls go to the local third party all the same
  DRIFTQ_HTTP_URL  a broker that runs already, instead of the embedded one
  EFFECTS_TABLE    a DynamoDB table that is there already, with AWS_... variables to reach it
  Further variables of the functions, such as IDLE_EXIT and EVENTS_TOPIC, are passed on to them.";

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
