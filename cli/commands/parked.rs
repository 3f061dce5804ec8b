//! `parked`: what waits for a person, in groups.

use std::{collections::BTreeMap, process::ExitCode};

use anyhow::Result;
use clap::Args as ClapArgs;
use driftq_webhooks::effects::{Effects, record::Record};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use crate::{
    deployment::Deployment,
    effect::{cut, time},
    output::{counted, print},
    paint::Paint,
};

const PAGE: i32 = 500;

/// What `parked` takes.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    deployment: Deployment,
    /// Only of this step.
    #[arg(long)]
    step: Option<String>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
It reads all that is parked. `list --state parked` shows them one by one, `decide` decides about them.

Examples:
  cargo webhooks parked --stack driftq-webhooks
  cargo webhooks parked --table effects --step open_ticket --json";

/// Those of one step, parked for one reason.
#[derive(Debug, Serialize)]
struct Group {
    step: String,
    why: String,
    in_doubt: bool,
    count: u64,
    since: Timestamp,
    last: Timestamp,
}

/// Shows the groups, the largest first.
pub(crate) async fn run(args: Args) -> Result<ExitCode> {
    let effects = args.deployment.effects(None).await?;
    let groups = groups(&effects, args.step.as_deref()).await?;
    if args.json {
        print(&json!({ "groups": groups }).to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    let total: u64 = groups.iter().map(|group| group.count).sum();
    for Group { step, why, in_doubt, count, since, last } in &groups {
        let paint = Paint::stdout();
        let doubt = if *in_doubt { paint.red("in doubt  ") } else { String::new() };
        print(&format!("{count:>6}  {step:16}  {doubt}{}", cut(why, 80)))?;
        print(&paint.dim(format!("        parked from {} to {}", time(*since), time(*last))))?;
    }
    print(&format!("{} parked", counted(usize::try_from(total)?, "effect")))?;
    Ok(ExitCode::SUCCESS)
}

async fn groups(effects: &Effects, step: Option<&str>) -> Result<Vec<Group>> {
    let (mut groups, mut from) = (BTreeMap::new(), None);
    loop {
        let (page, next) = effects.parked_page(PAGE, from).await?;
        for record in page.into_iter().filter(|record| step.is_none_or(|step| record.step == step)) {
            add(&mut groups, record);
        }
        from = next;
        if from.is_none() {
            let mut groups: Vec<_> = groups.into_values().collect();
            groups.sort_by_key(|group: &Group| std::cmp::Reverse(group.count));
            return Ok(groups);
        }
    }
}

fn add(groups: &mut BTreeMap<(String, String, bool), Group>, record: Record) {
    let at = record.due_at.unwrap_or(record.updated_at);
    let why = record.last_error.unwrap_or_default();
    let (step, in_doubt) = (record.step, record.doubt.is_some());
    let group = groups.entry((step.clone(), why.clone(), in_doubt));
    let group = group.or_insert(Group { step, why, in_doubt, count: 0, since: at, last: at });
    group.count += 1;
    (group.since, group.last) = (group.since.min(at), group.last.max(at));
}
