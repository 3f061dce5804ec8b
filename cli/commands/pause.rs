//! `pause`: no side effects for now, whatever is deployed meanwhile.

use std::{env, process::ExitCode};

use anyhow::Result;
use clap::Args as ClapArgs;
use driftq_webhooks::effects::pause::Pause;
use jiff::Timestamp;

use crate::{deployment::Deployment, output::print};

/// What `pause` takes.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    deployment: Deployment,
    /// Why, for whoever finds it paused.
    #[arg(long)]
    note: String,
}

const AFTER_HELP: &str = "\
A run that is under way goes on to its end: three minutes at most. Webhooks are accepted meanwhile. The pause is a record in
the effects table, so no deployment ends it; `resume` does.

Examples:
  cargo webhooks pause --stack driftq-webhooks --note 'their API double-books, INC-4711'
  cargo webhooks pause --table effects --note 'moving the third party'";

/// Leaves the record.
pub(crate) async fn run(args: Args) -> Result<ExitCode> {
    let effects = args.deployment.effects(None).await?;
    if let Some(Pause { since, by, note }) = effects.pause().await? {
        print(&format!("It was paused since {since} by {by}: {note}"))?;
    }
    let by = env::var("USER").unwrap_or_else(|_| "somebody".into());
    effects.begin_pause(&Pause { since: Timestamp::now(), by, note: args.note }).await?;
    print("Paused: runs that begin from now on do nothing, until `cargo webhooks resume`.")?;
    Ok(ExitCode::SUCCESS)
}
