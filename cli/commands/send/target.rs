//! The gateway that a webhook is sent to.

use std::path::PathBuf;

use anyhow::Result;
use driftq_webhooks::config::Config;
use local::config::Config as Local;

use crate::{
    exit::Usage,
    own::Own,
    running::{self, Running},
};

/// A gateway, and its webhooks.toml if known.
pub(crate) struct Target {
    pub(crate) url: String,
    pub(crate) config: PathBuf,
    /// The names of its secrets that are not generated; none if unknown.
    own: Option<Vec<String>>,
}

impl Target {
    /// The gateway at that URL. Without a URL, the gateway of the only `up` that runs.
    pub(crate) async fn find(url: Option<String>) -> Result<Self> {
        let mut running = running::all().await?;
        if let Some(url) = url {
            let url = url.trim_end_matches('/').to_owned();
            let known = running.into_iter().find(|running| running.url == url);
            let elsewhere = Self { url, config: Local::path_from_env(), own: None };
            return Ok(known.map_or(elsewhere, Self::of));
        }
        match running.pop() {
            None => Err(Usage("nothing is up; start `cargo webhooks up`, or give --url".to_owned()).into()),
            Some(one) if running.is_empty() => Ok(Self::of(one)),
            Some(last) => {
                running.push(last);
                let each =
                    running.iter().map(|one| format!("\n  --url {}  ({})", one.url, one.config.display()));
                Err(Usage(format!("several are up; choose one:{}", each.collect::<String>())).into())
            }
        }
    }

    /// The webhooks.toml that the environment names, otherwise that of the only `up` that runs.
    pub(crate) async fn config_in_use() -> Result<PathBuf> {
        let running = running::all().await?;
        Ok(match &running[..] {
            [one] if std::env::var_os("WEBHOOKS_CONFIG").is_none() => one.config.clone(),
            _ => Local::path_from_env(),
        })
    }

    fn of(Running { url, config, own, .. }: Running) -> Self {
        Self { url, config, own: Some(own) }
    }

    /// A gateway with a real secret refuses webhooks that are signed with a generated one, and the reverse.
    pub(crate) fn check_secrets(&self, source: &str, config: &Config, own: &Own) -> Result<()> {
        let secret = config.sources.get(source).and_then(|source| source.secrets.first());
        let (Some(secret), Some(theirs)) = (secret, &self.own) else { return Ok(()) };
        match (theirs.contains(secret), own.get(secret).is_some()) {
            (true, false) => Err(Usage(format!(
                "`up` has a {secret} of your own: set it here too, in the environment or in .env"
            ))
            .into()),
            (false, true) => Err(Usage(format!(
                "`up` generated {secret}, but here it is set: unset it, or start `up` with it"
            ))
            .into()),
            _ => Ok(()),
        }
    }
}
