//! `send`: signs a sample webhook and posts it.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};
use clap::Args as ClapArgs;
use jiff::Timestamp;
use local::{
    config::Config,
    http::{self, Answer},
    webhook::Webhook,
};

/// What `send` takes.
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// A sample: an API Gateway event of payload format 2.0, such as events/ingest/github.issues.opened.json.
    file: PathBuf,
    /// Where to; without it, where `up` listens.
    #[arg(long)]
    url: Option<String>,
}

/// Sends it, prints the answer, and fails if that is not a 2xx.
pub(crate) async fn run(args: Args) -> Result<()> {
    let url = args.url.map_or_else(address_of_up, Ok)?;
    let webhook = Webhook::read(&args.file)?;
    let source = Config::from_env()?.source(&webhook.source)?;
    let webhook = webhook.signed(&source, Timestamp::now())?;
    let target = format!("{}/webhooks/{}", url.trim_end_matches('/'), webhook.source);
    let mut request =
        http::client()?.post(&target).timeout(Duration::from_secs(40)).body(webhook.body.clone());
    for (name, value) in &webhook.headers {
        request = request.header(name, value);
    }
    let response =
        request.send().await.with_context(|| format!("{target}; is `cargo run -p local` running?"))?;
    let answer = Answer::read(response).await?;
    println!("{} {}", answer.status, String::from_utf8_lossy(&answer.body));
    if !(200..300).contains(&answer.status) {
        bail!("{target} did not accept it");
    }
    Ok(())
}

/// `up` leaves its address beside this binary.
pub(crate) fn state_file() -> Result<PathBuf> {
    Ok(std::env::current_exe()?.with_extension("url"))
}

fn address_of_up() -> Result<String> {
    let file = state_file()?;
    fs::read_to_string(&file)
        .with_context(|| "nothing is up; start `cargo run -p local`, or give --url".to_owned())
}
