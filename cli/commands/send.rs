//! `send`: signs a webhook and posts it.

mod new_id;
mod seen;
pub(crate) mod target;

use std::{fs, path::Path, process::ExitCode, time::Duration};

use anyhow::{Context, Result};
use clap::Args as ClapArgs;
use http::Request;
use jiff::Timestamp;
use local::{
    config::Config as Local,
    gateway::FrontEnd,
    http::{Answer, client_for},
    webhook::{Webhook, samples},
};
use serde_json::Value;

use self::{seen::Seen, target::Target};
use crate::{
    event,
    exit::PROBLEMS,
    output::print,
    own::{EnvFile, Own},
    webhooks_toml::WebhooksToml,
};

/// The arguments of `send`.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// A sample in events/ingest, such as github.issues.opened, or a file, or `-` for standard input. A file contains an API
    /// Gateway event of payload format 2.0 like the samples, or with --source the webhook's body as the provider sends it.
    #[arg(required_unless_present = "list")]
    event: Option<String>,
    /// The source to send to, with its signature scheme, instead of the source of the sample.
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// An additional header, such as "x-github-event: issues"; can be repeated.
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// Give the event a new id, so that it is not a duplicate of an earlier one.
    #[arg(long)]
    new_id: bool,
    /// The URL to post to; by default that of the running `up`.
    #[arg(long)]
    url: Option<String>,
    #[command(flatten)]
    own: EnvFile,
    /// Don't send the webhook. Print it, signed now, as an API Gateway event for `cargo lambda invoke --data-file` and
    /// `sam local invoke --event`.
    #[arg(long, conflicts_with = "url")]
    as_event: bool,
    /// List the samples, and show which of them have a source in the webhooks.toml in use.
    #[arg(long)]
    list: bool,
}

const AFTER_HELP: &str = "\
The secret comes from the environment or .env; otherwise it is the one that `up` generated. The webhooks.toml is the one that `up`
uses, otherwise that of WEBHOOKS_CONFIG. tests/providers.toml has a source of every scheme.
Exit code: 0 if the webhook was accepted, 1 if not, 2 if the arguments are invalid.

Examples:
  cargo webhooks send stripe.charge.dispute.created --new-id
  cargo webhooks send issue.json --source github --header 'x-github-event: issues'
  cargo webhooks send stripe.charge.dispute.created --as-event > event.json
  cargo webhooks send --list";

/// The time limit for an answer: longer than API Gateway's own limit.
const PATIENCE: Duration = Duration::from_secs(40);

/// Sends the webhook, prints the answer, and reports whether it was a duplicate.
pub(crate) async fn run(args: Args) -> Result<ExitCode> {
    let own = Own::read(&args.own)?;
    let Some(event) = args.event.filter(|_| !args.list) else { return list(&Target::config_in_use().await?) };
    let target = if args.as_event { None } else { Some(Target::find(args.url).await?) };
    let file = match &target {
        Some(target) => target.config.clone(),
        None => Target::config_in_use().await?,
    };
    let WebhooksToml { text, config, .. } = WebhooksToml::read(&file, false)?;
    let mut local = Local::parse(&text)?;
    local.use_secrets(|name| own.get(name));

    let mut webhook = event::webhook(&event, event::read(&event)?, args.source.as_deref(), &args.header)?;
    if args.new_id {
        webhook = new_id::renewed(webhook, &config)?;
    }
    let source = local.source(&webhook.source)?;
    let Some(target) = target else {
        print(&format!("{:#}", as_event(&webhook.signed(&source, Timestamp::now())?)?))?;
        return Ok(ExitCode::SUCCESS);
    };
    target.check_secrets(&webhook.source, &config, &own)?;
    let seen = Seen::before(&target.url, &webhook, &config).await?;
    let answer = post(&target.url, webhook.signed(&source, Timestamp::now())?).await?;
    print(&format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body)))?;
    if !(200..300).contains(&answer.status) {
        return Ok(PROBLEMS.into());
    }
    seen.lines().iter().try_for_each(|line| print(line))?;
    Ok(ExitCode::SUCCESS)
}

/// The webhook as an event of the HTTP API in the template.
fn as_event(webhook: &Webhook) -> Result<Value> {
    let mut request = Request::post(format!("/webhooks/{}", webhook.source)).header("host", "localhost");
    for (name, value) in &webhook.headers {
        request = request.header(name, value);
    }
    let (parts, ()) = request.body(())?.into_parts();
    let mut event = FrontEnd::HttpApi.event(&parts, &webhook.body, "127.0.0.1", Timestamp::now());
    for object in ["", "/requestContext"] {
        if let Some(object) = event.pointer_mut(object) {
            object["routeKey"] = "POST /webhooks/{source}".into();
        }
    }
    Ok(event)
}

pub(crate) async fn post(url: &str, webhook: Webhook) -> Result<Answer> {
    let target = format!("{url}/webhooks/{}", webhook.source);
    let mut request = client_for(url)?.post(&target).timeout(PATIENCE).body(webhook.body);
    for (name, value) in &webhook.headers {
        request = request.header(name, value);
    }
    let response =
        request.send().await.with_context(|| format!("{target}; is `cargo webhooks up` running?"))?;
    Ok(Answer::read(response).await?)
}

fn list(config: &Path) -> Result<ExitCode> {
    let config = Local::read(config)?;
    let mut names: Vec<_> = fs::read_dir(samples())?
        .filter_map(|entry| Some(entry.ok()?.file_name().to_str()?.strip_suffix(".json")?.to_owned()))
        .collect();
    names.sort();
    for name in names {
        let source = Webhook::sample(&name)?.source;
        let note = match config.source(&source) {
            Ok(_) => String::new(),
            Err(_) => format!(" (no source {source:?} in the webhooks.toml in use)"),
        };
        print(format!("{name:<40}{note}").trim_end())?;
    }
    Ok(ExitCode::SUCCESS)
}
