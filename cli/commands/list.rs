//! `list`: lists effects, the newest first.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args as ClapArgs;
use driftq_webhooks::effects::record::Record;

use crate::{
    deployment::Deployment,
    effect::{cut, origin, painted, time},
    moment::Span,
    output::{counted, print},
    paint::Paint,
    which::Which,
};

/// The arguments of `list`.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    deployment: Deployment,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    span: Span,
    /// The maximum number of effects.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// Print one JSON object per line: each record without the step's input.
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
It reads the index `recent`, newest first. Tables of earlier versions don't have it, and it does not contain older effects.

Examples:
  cargo webhooks list --stack driftq-webhooks --state parked --since 24h
  cargo webhooks list --table effects --key 1042 --since 7d --json";

/// Lists the effects.
pub(crate) async fn run(args: Args) -> Result<ExitCode> {
    let listing = args.deployment.table(None).await?.listing();
    let mut recent = listing.recent(args.span.since(), args.span.before());
    let (mut shown, mut read) = (0, 0);
    while let Some(record) = recent.next().await? {
        read += 1;
        if !args.which.fits(&record) {
            continue;
        }
        if shown == args.limit {
            eprintln!("There are more; --limit or --until shows them.");
            break;
        }
        print(&if args.json { serde_json::to_string(&record.without_input())? } else { line(&record) })?;
        shown += 1;
    }
    if shown == 0 {
        let since = time(args.span.since());
        eprintln!("None of the {} since {since} matches.", counted(read, "effect"));
    }
    Ok(ExitCode::SUCCESS)
}

/// An effect as one line.
pub(crate) fn line(record: &Record) -> String {
    let (source, event) = origin(&record.run_id);
    let tries = if record.attempt > 1 { format!("  {} tries", record.attempt) } else { String::new() };
    let why = record.last_error.as_deref().map(|why| format!("  {}", cut(why, 60))).unwrap_or_default();
    format!(
        "{}  {}  {source:8}  {:16}  {:30}  {event}{tries}{why}",
        Paint::stdout().dim(time(record.created_at)),
        painted(record, 11),
        record.step,
        record.business_key,
    )
}
