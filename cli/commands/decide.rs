//! `decide`: one decision about many parked effects. It shows a plan, asks for confirmation, and can be interrupted and repeated.

use std::{
    io::{self, IsTerminal as _},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Result;
use clap::{Args as ClapArgs, ValueEnum};
use driftq_webhooks::effects::{
    bulk::{Bulk, Filter, Plan, Policy, Tally},
    guard::decide::{Decision, Said},
};
use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use crate::{
    deployment::Deployment,
    effect::{cut, time},
    exit::{PROBLEMS, Usage},
    moment::Moment,
    operator::{self, Consent},
    output::{counted, print},
    webhooks_toml::WebhooksToml,
};

/// The arguments of `decide`.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The decision.
    decision: What,
    #[command(flatten)]
    deployment: Deployment,
    /// Effects of this run.
    #[arg(long, value_name = "ID")]
    run: Option<String>,
    /// Effects of this step.
    #[arg(long)]
    step: Option<String>,
    /// Effects whose reason contains this text.
    #[arg(long, value_name = "TEXT")]
    error: Option<String>,
    /// Effects with this business key.
    #[arg(long)]
    key: Option<String>,
    /// Effects parked at or after this time: a time, or how long ago.
    #[arg(long)]
    since: Option<Moment>,
    /// Effects parked before this time.
    #[arg(long)]
    before: Option<Moment>,
    /// Only effects that are in doubt and so may have happened (true), or only the others (false).
    #[arg(long, value_name = "BOOL")]
    in_doubt: Option<bool>,
    /// The reason, which is recorded in the history of each effect.
    #[arg(long)]
    note: String,
    #[command(flatten)]
    consent: Consent,
    /// The deployed webhooks.toml, which defines how each step resolves a doubt.
    #[arg(long, value_name = "FILE", default_value = "webhooks.toml")]
    config: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// A decision.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    /// The cause is fixed: retry, with all attempts. The step's policy resolves a doubt.
    Retry,
    /// You have checked that they did not happen: call as for the first time.
    NotApplied,
    /// You have checked that they happened: record them as done.
    Applied,
    /// They are not needed any more.
    Discard,
}

const AFTER_HELP: &str = "\
Give at least one of --run, --step, --error, --key, --since, --before and --in-doubt. You can interrupt the command at any time. If you
repeat it, it continues with the rest, and decides nothing twice.

Exit code: 0 if all matching effects were decided, 1 if some could not be decided or you did not confirm.

Examples:
  cargo webhooks decide retry --stack driftq-webhooks --step open_ticket --error 'answered 503' --note 'their outage is over'
  cargo webhooks decide discard --table effects --step email_receipt --before 2026-11-20T00:00:00Z --note 'too late' --yes";

/// Plans, asks, and decides.
pub(crate) async fn run(args: Args) -> Result<ExitCode> {
    let filter = args.filter();
    if filter.is_empty() {
        let which =
            "which? Give at least one of --run, --step, --error, --key, --since, --before and --in-doubt";
        return Err(Usage(which.into()).into());
    }
    let WebhooksToml { config, .. } = WebhooksToml::read(&args.config, args.json)?;
    let decisions = args.deployment.table(Some(config.consumer.keep_done)).await?.decisions();
    let policy = |step: &str| Policy::of(&config, step);
    let plan = decisions.plan(&filter, args.decision.into(), policy).await?;
    if args.consent.plan {
        print(&if args.json { json!({ "plan": plan }).to_string() } else { args.told(&plan) })?;
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("{}", args.told(&plan));
    if plan.would_decide > 0 && !args.consent.is_given()? {
        eprintln!("Nothing was decided.");
        return Ok(PROBLEMS.into());
    }
    let by = operator::name();
    let said = Said { decision: args.decision.into(), by: &by, note: &args.note };
    let bulk = Bulk { id: Uuid::now_v7(), filter: &filter, said };
    let progress = |tally: &Tally| {
        if io::stderr().is_terminal() {
            eprint!("\r  {} of {}", tally.decided, plan.would_decide);
        }
    };
    let tally = decisions.decide_all(bulk, policy, u64::MAX, Timestamp::now(), progress).await?;
    if io::stderr().is_terminal() {
        eprintln!();
    }
    report(&args, bulk.id, &tally)
}

fn report(args: &Args, id: Uuid, tally: &Tally) -> Result<ExitCode> {
    let Tally { decided, overtaken, in_doubt, not_callable, .. } = tally;
    let text = if args.json {
        json!({ "bulk": id.to_string(), "tally": tally }).to_string()
    } else {
        let mut lines = vec![format!("{} decided ({id})", counted(usize::try_from(*decided)?, "effect"))];
        let left = [
            (overtaken, "had changed meanwhile"),
            (in_doubt, "left out: they are in doubt"),
            (not_callable, "left out: they can't be called"),
        ];
        lines.extend(
            left.iter().filter(|(count, _)| **count > 0).map(|(count, why)| format!("{count} {why}")),
        );
        lines.join("\n")
    };
    print(&text)?;
    let is_whole = in_doubt + not_callable == 0;
    Ok(if is_whole { ExitCode::SUCCESS } else { PROBLEMS.into() })
}

impl Args {
    fn filter(&self) -> Filter {
        Filter {
            run_id: self.run.clone(),
            step: self.step.clone(),
            error: self.error.clone(),
            business_key: self.key.clone(),
            since: self.since.map(|moment| moment.0),
            before: self.before.map(|moment| moment.0),
            in_doubt: self.in_doubt,
        }
    }

    /// The text of a plan.
    fn told(&self, plan: &Plan) -> String {
        let what = match self.decision {
            What::Retry => "would be retried",
            What::NotApplied => "would be called as if for the first time",
            What::Applied => "would be recorded as done",
            What::Discard => "would be discarded",
        };
        let mut lines = vec![format!("{} of {} parked {what}", plan.would_decide, plan.parked)];
        if plan.in_doubt > 0 {
            lines.push(format!(
                "{} more match but are left out: they are in doubt. Look at the third party, and decide applied or not-applied",
                plan.in_doubt
            ));
        }
        if plan.not_callable > 0 {
            lines.push(format!(
                "{} more match but are left out: they can't be called. Discard them",
                plan.not_callable
            ));
        }
        for record in &plan.samples {
            let since = time(record.due_at.unwrap_or(record.updated_at));
            let why = cut(record.last_error.as_deref().unwrap_or_default(), 60);
            lines.push(format!("  {since}  {}  {why}", record.effect_id));
        }
        lines.join("\n")
    }
}

impl From<What> for Decision {
    fn from(what: What) -> Self {
        match what {
            What::Retry => Self::Retry,
            What::NotApplied => Self::NotApplied,
            What::Applied => Self::Applied,
            What::Discard => Self::Discard,
        }
    }
}
