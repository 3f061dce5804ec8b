//! `fetch`: fetches real events from a provider's API, signs them with the local secret, and posts them to `up`.

use std::{collections::HashSet, process::ExitCode};

use anyhow::{Context as _, Result};
use clap::Args as ClapArgs;
use driftq_webhooks::reconcile::{Item, What, Window};
use jiff::Timestamp;
use local::{config::Config as Local, webhook::Webhook};

use super::send::{post, target::Target};
use crate::{
    effect::time,
    exit::PROBLEMS,
    moment::Moment,
    output::print,
    own::{EnvFile, Own},
    provider::Provider,
    webhooks_toml::WebhooksToml,
};

/// The arguments of `fetch`.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The source whose provider to ask.
    source: String,
    /// The start of the period: a time, or how long ago.
    #[arg(long)]
    since: Moment,
    /// The URL to post to; by default that of the running `up`.
    #[arg(long)]
    url: Option<String>,
    #[command(flatten)]
    own: EnvFile,
}

const AFTER_HELP: &str = "\
The source's `reconcile` configures the provider's API and names its key. Use your own key of a test account, from the environment or
.env. `up` itself asks no provider. Real events may contain personal data, which `up` then stores.
Exit code: 0 if all were accepted, 1 if some were not.

Examples:
  cargo webhooks fetch stripe --since 2h
  cargo webhooks fetch github --since 30m --url http://127.0.0.1:8787";

/// Fetches, signs and posts them, the oldest first.
pub(crate) async fn run(args: Args) -> Result<ExitCode> {
    let own = Own::read(&args.own)?;
    let target = Target::find(args.url).await?;
    let WebhooksToml { text, config, .. } = WebhooksToml::read(&target.config, false)?;
    let mut local = Local::parse(&text)?;
    local.use_secrets(|name| own.get(name));
    let source = local.source(&args.source)?;
    target.check_secrets(&args.source, &config, &own)?;
    let provider = Provider::of(&args.source, &config, &own)?;
    let window = Window { from: args.since.0, until: Timestamp::now() };
    if let Some(limit) = provider.out_of_reach(window) {
        eprintln!("{limit}");
    }
    let (mut seen, mut all_well) = (HashSet::new(), true);
    for item in provider.all(window).await?.iter().rev() {
        if item.at < window.from || !seen.insert(item.event_id.clone()) {
            continue;
        }
        let webhook = webhook(item, &provider).await?;
        let answer = post(&target.url, webhook.signed(&source, Timestamp::now())?).await?;
        all_well &= (200..300).contains(&answer.status);
        print(&format!("{}  {}  {}: {}", time(item.at), item.event_id, item.event_type, answer.status))?;
    }
    Ok(if all_well { ExitCode::SUCCESS } else { PROBLEMS.into() })
}

async fn webhook(item: &Item, provider: &Provider<'_>) -> Result<Webhook> {
    let name = &provider.source.name;
    match &item.what {
        What::Event(event) => Ok(Webhook::new(name, event.event())),
        What::Delivered(delivery) | What::Undelivered(delivery) => {
            let sent = provider.api().sent(delivery).await.context("the provider")?;
            let webhook = Webhook::new(name, &sent.body);
            Ok(sent.headers.iter().fold(webhook, |webhook, (name, value)| webhook.with(name, value)))
        }
    }
}
