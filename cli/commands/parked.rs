//! `parked`: shows parked effects in groups.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args as ClapArgs;
use serde_json::json;

use crate::{
    deployment::Deployment,
    effect::{cut, time},
    groups::{Group, groups},
    output::{counted, print},
    paint::Paint,
};

/// The arguments of `parked`.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    deployment: Deployment,
    /// Only effects of this step.
    #[arg(long)]
    step: Option<String>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
It reads all parked effects. `list --state parked` shows each of them, and `decide` decides about them.

Examples:
  cargo webhooks parked --stack driftq-webhooks
  cargo webhooks parked --table effects --step open_ticket --json";

/// Shows the groups, the largest first.
pub(crate) async fn run(args: Args) -> Result<ExitCode> {
    let listing = args.deployment.table(None).await?.listing();
    let groups = groups(&listing, args.step.as_deref(), u64::MAX).await?.groups;
    if args.json {
        print(&json!({ "groups": groups }).to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    let total: u64 = groups.iter().map(|group| group.count).sum();
    for Group { step, why, in_doubt, count, since, last, .. } in &groups {
        let paint = Paint::stdout();
        let doubt = if *in_doubt { paint.red("in doubt  ") } else { String::new() };
        print(&format!("{count:>6}  {step:16}  {doubt}{}", cut(why, 80)))?;
        print(&paint.dim(format!("        parked from {} to {}", time(*since), time(*last))))?;
    }
    print(&format!("{} parked", counted(usize::try_from(total)?, "effect")))?;
    Ok(ExitCode::SUCCESS)
}
