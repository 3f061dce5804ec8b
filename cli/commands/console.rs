//! `console`: pages on this machine that show what happened, what waits, and what to decide.

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

/// What `console` takes.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    deployment: Deployment,
    /// The port; a free one if it is not given.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Only show: nothing can be decided.
    #[arg(long)]
    read_only: bool,
    /// Seconds after which a page that is looked at is read again.
    #[arg(long, default_value_t = 5, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    every: u64,
    /// The webhooks.toml that is deployed.
    #[arg(long, value_name = "FILE", default_value = "webhooks.toml")]
    config: PathBuf,
}

const AFTER_HELP: &str = "\
It listens on this machine only, and the URL that it prints lets in one browser, once. Until Ctrl-C. It reads the table with your
AWS credentials, and each page that is looked at reads again every few seconds: a few hundred small reads at the most.

Examples:
  cargo webhooks console --stack driftq-webhooks
  cargo webhooks console --table effects --read-only";

/// Serves it until it is stopped.
pub(crate) async fn run(args: Args) -> Result<ExitCode> {
    let WebhooksToml { config, .. } = WebhooksToml::read(&args.config, false)?;
    let effects = args.deployment.effects(Some(config.consumer.keep_done)).await?;
    let about = About {
        name: args.deployment.name(),
        who: operator::user(),
        read_only: args.read_only,
        every: Duration::from_secs(args.every),
    };
    let mut stop = Stop::listen()?;
    let console = Console::start(args.port, effects, Arc::new(config), about).await?;
    print(&format!(
        "The console of {} is up; Ctrl-C ends it. Open, in one browser:\n\n  {}\n",
        args.deployment.name(),
        console.url()
    ))?;
    stop.asked().await?;
    Ok(ExitCode::SUCCESS)
}
