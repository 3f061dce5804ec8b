//! `redrive`: does effects again. It shows a plan, asks for confirmation, and can be interrupted and repeated.

use std::{
    io::{self, IsTerminal as _},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Result;
use clap::Args as ClapArgs;
use driftq_webhooks::effects::{
    record::{Record, Status},
    redrive::{LeftOut, Plan, Redrive, Tally},
};
use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use crate::{
    deployment::Deployment,
    effect::time,
    exit::{PROBLEMS, Usage},
    moment::Span,
    operator::{self, Consent},
    output::{counted, print},
    webhooks_toml::WebhooksToml,
    which::Which,
};

/// The arguments of `redrive`.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    deployment: Deployment,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    span: Span,
    /// Also include effects that were redriven before, and effects that a redrive created.
    #[arg(long)]
    again: bool,
    /// The id of this redrive, a UUID; a new one by default. Repeating an id does nothing twice.
    #[arg(long, value_name = "ID")]
    bulk: Option<Uuid>,
    /// The reason, which is recorded in the history of each effect.
    #[arg(long)]
    note: String,
    #[command(flatten)]
    consent: Consent,
    /// The deployed webhooks.toml, which defines the steps.
    #[arg(long, value_name = "FILE", default_value = "webhooks.toml")]
    config: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
This does effects AGAIN: each is called as a new effect, with a new idempotency key, so the third party does it once more. The first
call is not undone.

Give at least one of --source, --step, --key and --event. The command selects effects in the state `done`, or with --state discarded
the discarded ones. You can interrupt it at any time. If you repeat it, it continues with the rest.

A record keeps its command only if [consumer] of webhooks.toml had keep_commands = true when the effect was done. The record of a
discarded effect always keeps it.

Exit code: 0 if all matching effects were redriven, 1 if some could not be redriven or you did not confirm.

Examples:
  cargo webhooks redrive --stack driftq-webhooks --step open_ticket --since 2h --note 'they have lost the tickets of today' --plan
  cargo webhooks redrive --table effects --key du_1042 --since 7d --note 'deleted there by mistake' --yes";

/// Plans, asks for confirmation, and redrives the effects.
pub(crate) async fn run(args: Args) -> Result<ExitCode> {
    if !args.which.says_which() {
        let which = "which? Give at least one of --source, --step, --key and --event";
        return Err(Usage(which.into()).into());
    }
    let wanted = match args.which.state.as_deref() {
        None | Some("done") => Status::Done,
        Some("discarded") => Status::Discarded,
        Some(other) => {
            let why = format!("what is {other} is not over: only done or discarded effects can be redriven");
            return Err(Usage(why).into());
        }
    };
    let WebhooksToml { config, .. } = WebhooksToml::read(&args.config, args.json)?;
    let redrives = args.deployment.table(Some(config.consumer.keep_done)).await?.redrives();
    let by = operator::name();
    let redrive = args.redrive(&by);
    let fits = |record: &Record| record.status == wanted && args.which.fits(record);
    let has_step = |step: &str| config.step(step).is_some();
    let plan = redrives.plan(&redrive, fits, has_step).await?;
    if args.consent.plan {
        print(&if args.json { json!({ "plan": plan }).to_string() } else { told(&plan) })?;
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("{}", told(&plan));
    if plan.would_redrive > 0 && !args.consent.is_given()? {
        eprintln!("Nothing was redriven.");
        return Ok(PROBLEMS.into());
    }
    let progress = |tally: &Tally| {
        if io::stderr().is_terminal() {
            eprint!("\r  {} of {}", tally.redriven, plan.would_redrive);
        }
    };
    let tally = redrives.run(&redrive, &args.filter(), fits, has_step, progress).await?;
    if io::stderr().is_terminal() {
        eprintln!();
    }
    report(&args, redrive.id, &tally)
}

fn report(args: &Args, id: Uuid, tally: &Tally) -> Result<ExitCode> {
    let Tally { redriven, overtaken, left_out } = tally;
    let text = if args.json {
        json!({ "bulk": id.to_string(), "tally": tally }).to_string()
    } else {
        let mut lines = vec![format!("{} redriven ({id})", counted(usize::try_from(*redriven)?, "effect"))];
        if *overtaken > 0 {
            lines.push(format!("{overtaken} had changed meanwhile"));
        }
        lines.extend(reasons(left_out));
        lines.join("\n")
    };
    print(&text)?;
    let is_whole = *left_out == LeftOut { redriven: left_out.redriven, ..LeftOut::default() };
    Ok(if is_whole { ExitCode::SUCCESS } else { PROBLEMS.into() })
}

impl Args {
    fn redrive<'a>(&'a self, by: &'a str) -> Redrive<'a> {
        // Effects that this redrive creates are newer.
        let now = Timestamp::now();
        Redrive {
            id: self.bulk.unwrap_or_else(Uuid::now_v7),
            by,
            note: &self.note,
            again: self.again,
            since: self.span.since(),
            before: self.span.until().map_or(now, |until| until.min(now)),
        }
    }

    /// For the record of this redrive.
    fn filter(&self) -> String {
        let Which { source, step, state, key, event } = &self.which;
        let until = self.span.until();
        json!({
            "source": source, "step": step, "state": state, "key": key, "event": event,
            "since": self.span.since(), "until": until, "again": self.again,
        })
        .to_string()
    }
}

/// The text of a plan.
fn told(plan: &Plan) -> String {
    let mut lines = vec![format!(
        "{} of {} matching effects would be done AGAIN. Each is called as a new effect, with a new idempotency key, so the third party \
         does it once more: it charges again, or sends again. What the first call did is not undone.",
        plan.would_redrive, plan.fit
    )];
    lines.extend(reasons(&plan.left_out));
    for record in &plan.samples {
        lines.push(format!("  {}  {}", time(record.updated_at), record.effect_id));
    }
    lines.join("\n")
}

/// The reasons why effects are left out.
fn reasons(left_out: &LeftOut) -> Vec<String> {
    let LeftOut { not_over, redriven, no_command, large_input, no_step, too_long } = left_out;
    let reasons = [
        (not_over, "they are not over"),
        (redriven, "they have been redriven before, or a redrive created them; --again includes them"),
        (
            no_command,
            "their records keep no command; keep_commands = true in [consumer] of webhooks.toml keeps those of effects done from \
             then on",
        ),
        (
            large_input,
            "their input was too large to stay with the command, and is thrown away once an effect is done",
        ),
        (no_step, "webhooks.toml has no such step"),
        (too_long, "the new run's id would be too long"),
    ];
    let there = reasons.into_iter().filter(|(count, _)| **count > 0);
    there.map(|(count, why)| format!("{count} more match but are left out: {why}")).collect()
}
