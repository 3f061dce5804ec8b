//! `reconcile`: recovers events of a period that did not arrive. It shows a plan, asks for confirmation, and executes the plan.

use std::{collections::HashSet, path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result};
use clap::Args as ClapArgs;
use driftq_webhooks::{
    config::Config,
    effects::{
        asked::Asked,
        listing::Listing,
        reconciliation::{Reconciliation, Recovery},
    },
    ingest::{fetched, route::Routed},
    reconcile::{Delivery, Item, What, Window, missing::Missing},
};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    deployment::Deployment,
    effect::time,
    exit::PROBLEMS,
    moment::Moment,
    operator::Consent,
    output::{counted, print},
    own::{EnvFile, Own},
    provider::Provider,
    webhooks_toml::WebhooksToml,
};

/// The arguments of `reconcile`.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The source whose provider to ask.
    source: String,
    #[command(flatten)]
    deployment: Deployment,
    /// The start of the period: a time, or how long ago.
    #[arg(long)]
    since: Moment,
    /// The end of the period; now by default.
    #[arg(long)]
    until: Option<Moment>,
    #[command(flatten)]
    consent: Consent,
    /// The deployed webhooks.toml, which configures the provider's API and the steps.
    #[arg(long, value_name = "FILE", default_value = "webhooks.toml")]
    config: PathBuf,
    #[command(flatten)]
    own: EnvFile,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
The source's `reconcile` names the key of the provider's API, which is read from the environment or .env. A provider that can redeliver
(GitHub, GitLab) is asked to. For a provider that lists events, the effects of events without a record become due, and the
consumer does them. If you repeat the command, it does nothing twice. It also includes events from before reconcile was deployed:
another handler may have done those.

Exit code: 0 if all missing events were recovered, 1 if some could not be recovered or you did not confirm.

Examples:
  cargo webhooks reconcile stripe --stack driftq-webhooks --since 6h --plan
  cargo webhooks reconcile github --table effects --since 2026-11-26T09:00:00Z --yes";

/// How many events of a plan are shown.
const SAMPLES: usize = 10;

/// What has to be done about one event.
enum Step<'i> {
    /// The provider redelivers it.
    Redeliver(&'i Delivery),
    /// These effects have no record, and become due.
    Recover(Vec<Routed>),
    /// The event can't be handled, for this reason.
    Unfit(String),
}

/// Plans, asks for confirmation, and executes the plan.
pub(crate) async fn run(args: Args) -> Result<ExitCode> {
    let own = Own::read(&args.own)?;
    let WebhooksToml { config, .. } = WebhooksToml::read(&args.config, args.json)?;
    let provider = Provider::of(&args.source, &config, &own)?;
    let table = args.deployment.table(Some(config.consumer.keep_done)).await?;
    let until = args.until.map_or_else(Timestamp::now, |until| until.0);
    let window = Window { from: args.since.0, until };
    if let Some(limit) = provider.out_of_reach(window) {
        eprintln!("{limit}");
    }
    let all = provider.all(window).await?;
    let plan = plan(&all, window, &provider, &config, &table.listing()).await?;
    if args.consent.plan {
        print(&if args.json {
            json!({ "plan": json_of(&plan, all.len()) }).to_string()
        } else {
            told(&plan, all.len())
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("{}", told(&plan, all.len()));
    if !plan.is_empty() && !args.consent.is_given()? {
        eprintln!("Nothing was done.");
        return Ok(PROBLEMS.into());
    }
    let reconciliation = table.reconciliation();
    let (mut recovered, mut failed) = (0, 0);
    for (item, step) in plan {
        match act(item, step, &provider, &reconciliation).await {
            Ok(count) => recovered += count,
            Err(error) => {
                failed += 1;
                eprintln!("{}: {error:#}", item.event_id);
            }
        }
    }
    let text = match args.json {
        true => json!({ "recovered": recovered, "failed": failed }).to_string(),
        false => format!("{recovered} recovered, {failed} failed"),
    };
    print(&text)?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { PROBLEMS.into() })
}

async fn plan<'i>(
    all: &'i [Item],
    window: Window,
    provider: &Provider<'_>,
    config: &Config,
    listing: &Listing,
) -> Result<Vec<(&'i Item, Step<'i>)>> {
    let (mut missing, mut plan) = (Missing::default(), Vec::new());
    for item in all {
        if !missing.is(item, window) {
            continue;
        }
        let step = match &item.what {
            What::Delivered(_) => continue,
            What::Undelivered(delivery) => Step::Redeliver(delivery),
            What::Event(event) => match fetched::commands(provider.source, event, config, Timestamp::now()) {
                Err(lacking) => Step::Unfit(lacking.to_string()),
                Ok(routed) => match unknown(routed, listing).await? {
                    none if none.is_empty() => continue,
                    some => Step::Recover(some),
                },
            },
        };
        plan.push((item, step));
    }
    // In the order in which they happened.
    plan.reverse();
    Ok(plan)
}

/// The effects that have no record.
async fn unknown(routed: Vec<Routed>, listing: &Listing) -> Result<Vec<Routed>> {
    let runs: HashSet<_> = routed.iter().map(|each| each.command.run_id.to_string()).collect();
    let mut known = HashSet::new();
    for run in &runs {
        known.extend(listing.run(run).await?.into_iter().map(|record| record.effect_id));
    }
    Ok(routed.into_iter().filter(|each| !known.contains(&each.effect.to_string())).collect())
}

/// Recovers one event. Returns the number of recovered effects, or 1 for a redelivery.
async fn act(
    item: &Item,
    step: Step<'_>,
    provider: &Provider<'_>,
    reconciliation: &Reconciliation,
) -> Result<usize> {
    match step {
        Step::Unfit(why) => anyhow::bail!(why),
        Step::Redeliver(delivery) => {
            let asked = Asked { at: Timestamp::now(), is_lost: false };
            reconciliation.remember_asked(&provider.source.name, &item.event_id, asked).await?;
            provider.api().redeliver(delivery).await.context("the provider")?;
            sleep(provider.pause).await;
            Ok(1)
        }
        Step::Recover(routed) => {
            let mut recovered = 0;
            for Routed { effect, command, due } in routed {
                let recovery = reconciliation.recover(&effect, command, due, Timestamp::now()).await?;
                recovered += usize::from(recovery == Recovery::Recovered);
            }
            Ok(recovered)
        }
    }
}

fn told(plan: &[(&Item, Step<'_>)], all: usize) -> String {
    let mut lines = vec![format!(
        "{} missing of {} that the provider tells of",
        plan.len(),
        counted(all, "delivery or event")
    )];
    for (item, step) in plan.iter().take(SAMPLES) {
        lines.push(format!("  {}  {}  {}: {}", time(item.at), item.event_id, item.event_type, does(step)));
    }
    if plan.len() > SAMPLES {
        lines.push(format!("  and {} more", plan.len() - SAMPLES));
    }
    lines.join("\n")
}

fn does(step: &Step<'_>) -> String {
    match step {
        Step::Redeliver(_) => "would be delivered again".to_owned(),
        Step::Recover(routed) => {
            let effects: Vec<_> = routed.iter().map(|each| each.effect.step_id().to_string()).collect();
            format!("would be done: {}", effects.join(", "))
        }
        Step::Unfit(why) => format!("can't be handled: {why}"),
    }
}

fn json_of(plan: &[(&Item, Step<'_>)], all: usize) -> Value {
    let one = |(item, step): &(&Item, Step<'_>)| json!({ "event_id": item.event_id, "event_type": item.event_type, "at": item.at, "does": does(step) });
    json!({ "told": all, "missing": plan.iter().map(one).collect::<Vec<_>>() })
}
