//! `send`: signs a sample webhook and posts it.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use clap::Args as ClapArgs;
use jiff::Timestamp;
use local::{
    config::Config,
    http::{self, Answer},
    webhook::{Webhook, samples},
};

/// What `send` takes.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The name of a sample in events/ingest, such as github.issues.opened; or the path of a file like them: an API Gateway
    /// event of payload format 2.0.
    #[arg(required_unless_present = "list")]
    sample: Option<PathBuf>,
    /// Send it to this source, and sign it as this source wants it, instead of the one that the sample names.
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Where to; without it, where `up` listens.
    #[arg(long)]
    url: Option<String>,
    /// List the samples, and say which of them fit the webhooks.toml in use.
    #[arg(long)]
    list: bool,
}

const AFTER_HELP: &str = "\
It signs with the secrets that `up` made up for the webhooks.toml that it runs with, or else with those for the one that
WEBHOOKS_CONFIG names. tests/providers.toml has a source of every scheme.

Examples:
  cargo webhooks send stripe.charge.dispute.created
  cargo webhooks send --list";

/// Sends it, prints the answer, and fails if that is not a 2xx.
pub(crate) async fn run(args: Args) -> Result<()> {
    let config = config(args.url.is_none())?;
    let Some(sample) = args.sample.filter(|_| !args.list) else { return list(&config) };
    let url = args.url.map_or_else(address_of_up, Ok)?;
    let webhook = Webhook::read(&file(&sample));
    let mut webhook = webhook.context("no such sample; `send --list` names those that there are")?;
    webhook.source = args.source.unwrap_or(webhook.source);
    let webhook = webhook.clone().signed(&config.source(&webhook.source)?, Timestamp::now())?;
    let target = format!("{}/webhooks/{}", url.trim_end_matches('/'), webhook.source);
    let mut request =
        http::client()?.post(&target).timeout(Duration::from_secs(40)).body(webhook.body.clone());
    for (name, value) in &webhook.headers {
        request = request.header(name, value);
    }
    let response =
        request.send().await.with_context(|| format!("{target}; is `cargo webhooks up` running?"))?;
    let answer = Answer::read(response).await?;
    println!("{} {}", answer.status, String::from_utf8_lossy(&answer.body));
    if !(200..300).contains(&answer.status) {
        bail!("{target} did not accept it");
    }
    Ok(())
}

fn list(config: &Config) -> Result<()> {
    let mut names: Vec<_> = fs::read_dir(samples())?
        .filter_map(|entry| Some(entry.ok()?.file_name().to_str()?.strip_suffix(".json")?.to_owned()))
        .collect();
    names.sort();
    for name in names {
        let source = Webhook::sample(&name)?.source;
        match config.source(&source) {
            Ok(_) => println!("{name}"),
            Err(_) => println!("{name:<40} (no source {source:?} in the webhooks.toml in use)"),
        }
    }
    Ok(())
}

fn file(sample: &Path) -> PathBuf {
    if sample.is_file() {
        return sample.to_owned();
    }
    let name = sample.display().to_string();
    samples().join(if name.ends_with(".json") { name } else { format!("{name}.json") })
}

/// What `up` runs with, unless the environment says otherwise or it is not meant for `up`.
fn config(for_up: bool) -> Result<Config> {
    let of_up = state_file().ok().filter(|_| for_up).and_then(|file| fs::read_to_string(file).ok());
    match of_up.as_deref().and_then(|state| state.lines().nth(1)) {
        Some(path) if std::env::var_os("WEBHOOKS_CONFIG").is_none() => Config::read(Path::new(path)),
        _ => Config::from_env(),
    }
}

/// `up` leaves its address, and the path of its webhooks.toml, beside this binary.
pub(crate) fn state_file() -> Result<PathBuf> {
    Ok(std::env::current_exe()?.with_extension("url"))
}

fn address_of_up() -> Result<String> {
    let state = fs::read_to_string(state_file()?).unwrap_or_default();
    let url = state.lines().next().map(str::to_owned);
    url.context("nothing is up; start `cargo webhooks up`, or give --url")
}
