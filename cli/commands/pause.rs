//! `pause`: stops all side effects until `resume`; deployments don't end a pause.

use std::{env, process::ExitCode};

use anyhow::Result;
use clap::Args as ClapArgs;
use driftq_webhooks::effects::pause::Pause;
use jiff::Timestamp;

use crate::{deployment::Deployment, output::print};

/// The arguments of `pause`.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    deployment: Deployment,
    /// The reason, which other operators will see.
    #[arg(long)]
    note: String,
}

const AFTER_HELP: &str = "\
A consumer that runs now continues to its end, for at most three minutes. Webhooks are still accepted. The pause is a record in the
effects table, so no deployment ends it; `resume` does.

Examples:
  cargo webhooks pause --stack driftq-webhooks --note 'their API double-books, INC-4711'
  cargo webhooks pause --table effects --note 'moving the third party'";

/// Writes the pause record.
pub(crate) async fn run(args: Args) -> Result<ExitCode> {
    let pauses = args.deployment.table(None).await?.pauses();
    if let Some(Pause { since, by, note }) = pauses.current().await? {
        print(&format!("It was paused since {since} by {by}: {note}"))?;
    }
    let by = env::var("USER").unwrap_or_else(|_| "somebody".into());
    pauses.begin(&Pause { since: Timestamp::now(), by, note: args.note }).await?;
    print("Paused: runs that begin from now on do nothing, until `cargo webhooks resume`.")?;
    Ok(ExitCode::SUCCESS)
}
