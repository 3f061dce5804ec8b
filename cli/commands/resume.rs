//! `resume`: ends a pause.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args as ClapArgs;
use driftq_webhooks::effects::pause::Pause;

use crate::{deployment::Deployment, output::print};

/// What `resume` takes.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    deployment: Deployment,
}

const AFTER_HELP: &str = "\
The next run begins within a minute, and works what has waited.

Examples:
  cargo webhooks resume --stack driftq-webhooks
  cargo webhooks resume --table effects";

/// Takes the record away.
pub(crate) async fn run(args: Args) -> Result<ExitCode> {
    let effects = args.deployment.effects(None).await?;
    let said = match effects.pause().await? {
        None => "It is not paused.".to_owned(),
        Some(Pause { since, by, note }) => {
            effects.end_pause().await?;
            format!("Resumed. It was paused since {since} by {by}: {note}")
        }
    };
    print(&said)?;
    Ok(ExitCode::SUCCESS)
}
