//! `stats`: counts the effects of each step by state.

use std::{collections::BTreeMap, process::ExitCode};

use anyhow::Result;
use clap::Args as ClapArgs;
use serde_json::json;

use crate::{
    deployment::Deployment,
    effect::{STATES, state},
    moment::Span,
    output::print,
    paint::Paint,
};

/// The arguments of `stats`.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    deployment: Deployment,
    #[command(flatten)]
    span: Span,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
It reads each effect of that period: a million effects cost a million reads of DynamoDB.

Examples:
  cargo webhooks stats --stack driftq-webhooks
  cargo webhooks stats --table effects --since 24h --json";

/// Counts the effects.
pub(crate) async fn run(args: Args) -> Result<ExitCode> {
    let listing = args.deployment.table(None).await?.listing();
    let mut recent = listing.recent(args.span.since(), args.span.before());
    let mut steps: BTreeMap<String, BTreeMap<&str, u64>> = BTreeMap::new();
    while let Some(record) = recent.next().await? {
        *steps.entry(record.step.clone()).or_default().entry(state(&record)).or_default() += 1;
    }
    if args.json {
        print(&json!({ "steps": steps }).to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    let heads = STATES.iter().map(|state| format!("{state:>12}")).collect::<String>();
    print(&Paint::stdout().bold(format!("{:20}{heads}", "step")))?;
    for (step, counts) in &steps {
        let count = |state: &&str| format!("{:>12}", counts.get(state).copied().unwrap_or_default());
        print(&format!("{step:20}{}", STATES.iter().map(count).collect::<String>()))?;
    }
    Ok(ExitCode::SUCCESS)
}
