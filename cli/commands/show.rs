//! `show`: prints one run in full, by the id of the run, the event or an effect.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::Args as ClapArgs;
use driftq_webhooks::effects::record::Record;
use jiff::Timestamp;
use serde_json::json;

use crate::{
    deployment::Deployment,
    effect::{painted, time},
    exit::PROBLEMS,
    find::{find, sources},
    output::print,
    paint::Paint,
};

/// The arguments of `show`.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// A run id, an effect id, the provider's id of an event, or a business key of the last day.
    id: String,
    #[command(flatten)]
    deployment: Deployment,
    /// Also show the steps' input, which may contain personal data.
    #[arg(long)]
    input: bool,
    /// The webhooks.toml with the sources in which to look for an event's id.
    #[arg(long, value_name = "FILE", default_value = "webhooks.toml")]
    config: PathBuf,
    /// Print one JSON object: the whole records, with the steps' input only if --input is given.
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
Exit code: 0 if there are records, 1 if there are none.

Examples:
  cargo webhooks show evt_1SkPrT2eZvKYlo2C --stack driftq-webhooks
  cargo webhooks show stripe.evt_1:open_ticket:dp_1 --table effects --input";

/// Shows the run.
pub(crate) async fn run(args: Args) -> Result<ExitCode> {
    let listing = args.deployment.table(None).await?.listing();
    let found = find(&listing, &args.id, &sources(&args.config), usize::MAX).await?;
    let shown = |record: Record| if args.input { record } else { record.without_input() };
    let records: Vec<_> = found.into_iter().map(shown).collect();
    if records.is_empty() {
        eprintln!(
            "Nothing is on record under {:?}: no run, no effect, no event of a source of {}, and no business key of the last day.",
            args.id,
            args.config.display()
        );
        return Ok(PROBLEMS.into());
    }
    if args.json {
        print(&json!({ "effects": records }).to_string())?;
    } else {
        for record in &records {
            print(&story(record))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The history of an effect, from the webhook to the receipt.
fn story(record: &Record) -> String {
    let paint = Paint::stdout();
    let mut lines = vec![
        format!("{}  {}", paint.bold(&record.effect_id), painted(record, 0)),
        format!("  {}  created", time(record.created_at)),
    ];
    if let Some(at) = record.first_attempt_at {
        lines.push(format!("  {}  claimed for the first time", time(at)));
    }
    if record.history.dropped > 0 {
        lines.push(format!(
            "  {} entries between the first and the newest are not kept",
            record.history.dropped
        ));
    }
    for ended in &record.history.entries {
        let by = ended.by.as_deref().map(|by| format!("  ({by})")).unwrap_or_default();
        lines.push(format!("  {}  attempt {}: {}{by}", time(ended.at), ended.attempt, ended.what));
    }
    if let Some(until) = record.lease_until.filter(|until| *until > Timestamp::now()) {
        lines.push(format!("  {}  the attempt under way has until then", time(until)));
    }
    if let Some(due) = record.due_at {
        let what = if record.lease_until.is_some() { "looked at again" } else { "due, or parked since" };
        lines.push(format!("  {}  {what}", time(due)));
    }
    if let Some(doubt) = &record.doubt {
        lines.push(format!("  {}: {doubt}", paint.red("not known whether it happened")));
    }
    if let Some(at) = record.recovered_at {
        lines.push(format!(
            "  {}  recovered: the event had not arrived, and the provider was asked for it",
            time(at)
        ));
    }
    if let Some(old) = &record.redrive_of {
        lines.push(format!("  redrive of {old}"));
    }
    if let Some(run) = &record.redriven_as {
        lines.push(format!("  redriven as {run}"));
    }
    if let Some(receipt) = &record.receipt {
        let receipt = serde_json::to_string(receipt).unwrap_or_default();
        lines.push(format!("  receipt  {receipt}"));
    }
    if let Some(command) = &record.command {
        lines.push(format!("  command  {command}"));
    }
    lines.join("\n")
}
