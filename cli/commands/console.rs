//! `console`: web pages on this machine that show effects and offer decisions about them.

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Result;
use clap::Args as ClapArgs;

use crate::{
    console::{About, Console},
    deployment::Deployment,
    operator,
    output::print,
    stop::Stop,
    webhooks_toml::WebhooksToml,
};

/// The arguments of `console`.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    deployment: Deployment,
    /// The port; a free one by default.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Allow no decisions.
    #[arg(long)]
    read_only: bool,
    /// Seconds between two updates of an open page.
    #[arg(long, default_value_t = 5, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    every: u64,
    /// The webhooks.toml that is deployed.
    #[arg(long, value_name = "FILE", default_value = "webhooks.toml")]
    config: PathBuf,
}

const AFTER_HELP: &str = "\
It runs until Ctrl-C and listens on this machine only. The URL that it prints admits one browser, once. It reads the table with your
AWS credentials. Each open page reads the table every few seconds: at most a few hundred small reads.

Examples:
  cargo webhooks console --stack driftq-webhooks
  cargo webhooks console --table effects --read-only";

/// Serves the console until it is stopped.
pub(crate) async fn run(args: Args) -> Result<ExitCode> {
    let WebhooksToml { config, .. } = WebhooksToml::read(&args.config, false)?;
    let table = args.deployment.table(Some(config.consumer.keep_done)).await?;
    let about = About {
        name: args.deployment.name(),
        who: operator::user(),
        read_only: args.read_only,
        every: Duration::from_secs(args.every),
    };
    let mut stop = Stop::listen()?;
    let console = Console::start(args.port, &table, Arc::new(config), about).await?;
    print(&format!(
        "The console of {} is up; Ctrl-C ends it. Open, in one browser:\n\n  {}\n",
        args.deployment.name(),
        console.url()
    ))?;
    stop.asked().await?;
    Ok(ExitCode::SUCCESS)
}
