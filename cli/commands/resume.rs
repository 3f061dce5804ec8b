//! `resume`: ends a pause.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args as ClapArgs;
use driftq_webhooks::effects::pause::Pause;

use crate::{deployment::Deployment, output::print};

/// The arguments of `resume`.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    deployment: Deployment,
}

const AFTER_HELP: &str = "\
The consumer starts within a minute, and does the work that has waited.

Examples:
  cargo webhooks resume --stack driftq-webhooks
  cargo webhooks resume --table effects";

/// Deletes the pause record.
pub(crate) async fn run(args: Args) -> Result<ExitCode> {
    let pauses = args.deployment.table(None).await?.pauses();
    let said = match pauses.current().await? {
        None => "It is not paused.".to_owned(),
        Some(Pause { since, by, note }) => {
            pauses.end().await?;
            format!("Resumed. It was paused since {since} by {by}: {note}")
        }
    };
    print(&said)?;
    Ok(ExitCode::SUCCESS)
}
