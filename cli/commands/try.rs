//! `try`: a dry run. Shows what a webhook would start, and the exact calls, with the functions' own code.

mod report;
mod webhook;

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::{Context, Result};
use clap::Args as ClapArgs;
use driftq_webhooks::{config::source::Source, ingest::preview::Preview};
use jiff::Timestamp;
use local::config::Config as Local;
use webhook_verify::Key;

use self::{report::Report, webhook::Webhook};
use crate::{
    exit::{PROBLEMS, Usage},
    request::Calls,
    webhooks_toml::WebhooksToml,
};

/// The arguments of `try`.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// A sample in events/ingest, such as github.issues.opened, or a file, or `-` for standard input. A file contains an event
    /// of API Gateway or a load balancer, or with --source the webhook's body as the provider sends it.
    event: String,
    /// The source of the webhook, instead of the one in its path.
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// A header of the webhook, such as "x-github-event: issues"; can be repeated.
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// Show only this step.
    #[arg(long, value_name = "ID")]
    step: Option<String>,
    /// The webhooks.toml.
    #[arg(long, value_name = "FILE", default_value = "webhooks.toml")]
    config: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
It makes no calls, reads no secrets and verifies no signature: it treats the webhook as authenticated.
Exit code: 0 if the webhook would be accepted and would start the step of --step, 1 if not, 2 if the arguments are invalid.

Examples:
  cargo webhooks try stripe.charge.dispute.created
  cargo webhooks try issue.json --source github --header 'x-github-event: issues' --step tell_slack";

/// Does the dry run, and prints its report.
pub(crate) async fn run(args: Args) -> Result<ExitCode> {
    let WebhooksToml { name: file, text, config } = WebhooksToml::read(&args.config, args.json)?;
    let config = Arc::new(config);
    let known: Vec<_> = config.steps.iter().map(|step| step.id.as_str()).collect();
    if let Some(step) = args.step.as_deref().filter(|step| !known.contains(step)) {
        return Err(Usage(format!("no step is named {step:?}; known are {}", known.join(", "))).into());
    }
    let webhook = Webhook::read(&args.event, args.source.as_deref(), &args.header)?;
    let source = config.sources.get(&webhook.source).with_context(|| {
        let known: Vec<_> = config.sources.keys().map(String::as_str).collect();
        format!(
            "{file} has no source named {:?}: it would be answered 404; known are {}",
            webhook.source,
            known.join(", ")
        )
    })?;
    let key = made_up_key(source, &text)?;
    let preview = Preview::of(&webhook.request, source, key.as_ref(), &config, Timestamp::now());
    let calls = Calls::prepare(Arc::clone(&config)).await?;
    let report = Report::new(source, &text, args.step.as_deref(), preview, &calls)?;
    report.print(args.json)?;
    Ok(if report.is_good() { ExitCode::SUCCESS } else { PROBLEMS.into() })
}

/// A generated key of the source, since some handshakes need a key.
fn made_up_key(source: &Source, text: &str) -> Result<Option<Key>> {
    let secrets = Local::parse(text)?.secrets();
    let secret = source.secrets.first().and_then(|name| secrets.get(name));
    Ok(secret.and_then(|secret| source.scheme.key(secret).ok()))
}
