//! `tail`: prints effects when they arrive and when they end.

use std::{collections::HashMap, process::ExitCode, time::Duration};

use anyhow::Result;
use clap::Args as ClapArgs;
use driftq_webhooks::effects::record::{Record, Status};
use jiff::{SignedDuration, Timestamp};
use tokio::time::sleep;

use super::list::line;
use crate::{deployment::Deployment, output::print, which::Which};

/// The interval between two reads of the table.
const EVERY: Duration = Duration::from_secs(1);
/// How long after its creation an effect without an outcome is watched.
const WATCHED: SignedDuration = SignedDuration::from_mins(10);

/// The arguments of `tail`.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    deployment: Deployment,
    #[command(flatten)]
    which: Which,
    /// Print one JSON object per line: each record without the step's input.
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
It runs until Ctrl-C. Once per second it reads the effects of the last ten minutes; `list` shows later changes.

Examples:
  cargo webhooks tail --stack driftq-webhooks
  cargo webhooks tail --table effects --step open_ticket --json";

/// Prints effects until it is stopped.
pub(crate) async fn run(args: Args) -> Result<ExitCode> {
    let listing = args.deployment.table(None).await?.listing();
    let began = Timestamp::now();
    let mut seen: HashMap<String, (Status, u32)> = HashMap::new();
    loop {
        let now = Timestamp::now();
        let mut recent = listing.recent((now - WATCHED).max(began), now + SignedDuration::from_secs(5));
        let mut changed: Vec<Record> = Vec::new();
        while let Some(record) = recent.next().await? {
            let is_news = seen.get(&record.effect_id) != Some(&(record.status, record.attempt));
            if is_news && args.which.fits(&record) {
                changed.push(record);
            }
        }
        changed.sort_by_key(|record| record.updated_at);
        for record in changed {
            let news = (record.status, record.attempt);
            seen.insert(record.effect_id.clone(), news);
            print(&if args.json { serde_json::to_string(&record.without_input())? } else { line(&record) })?;
        }
        sleep(EVERY).await;
    }
}
