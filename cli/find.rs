//! Finds effects by the id of a run, an effect or an event, or by a business key.

use std::{fs, path::Path};

use anyhow::Result;
use driftq_webhooks::{
    config::Config,
    effects::{listing::Listing, record::Record},
};
use jiff::{SignedDuration, Timestamp};

/// How old an effect may be to be found by its business key.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(24);

/// The effects of a run, an effect or a provider's event, or the effects of the last day with a business key. An event is looked
/// for in each of `sources`. For a business key, the newest `most` effects are read.
pub(crate) async fn find(
    listing: &Listing,
    id: &str,
    sources: &[String],
    most: usize,
) -> Result<Vec<Record>> {
    let id = id.trim();
    // A run id has no colon, and an effect id begins with its run id.
    let run = id.split_once(':').map_or(id, |(run, _)| run);
    if run.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = listing.run(run).await?;
    if run != id {
        found.retain(|record| record.effect_id == id);
    }
    for source in sources {
        if found.is_empty() {
            found = listing.run(&format!("{source}.{id}")).await?;
        }
    }
    if found.is_empty() {
        let now = Timestamp::now();
        let mut recent = listing.recent(now - LOOK_BACK, now);
        for _ in 0..most {
            let Some(record) = recent.next().await? else { break };
            if record.business_key == id || record.run_id.ends_with(id) {
                found.push(record);
            }
        }
    }
    Ok(found)
}

/// The sources of a webhooks.toml, if it can be read, and the source of clients.
pub(crate) fn sources(file: &Path) -> Vec<String> {
    let name = file.display().to_string();
    let config = fs::read_to_string(file).ok().and_then(|text| Config::parse(&name, &text).ok());
    config.as_ref().map(of_config).unwrap_or_else(|| vec![CLIENTS.to_owned()])
}

/// The source of runs that clients have started.
const CLIENTS: &str = "api";

/// The sources of a configuration, and the source of clients.
pub(crate) fn of_config(config: &Config) -> Vec<String> {
    config.sources.keys().cloned().chain([CLIENTS.to_owned()]).collect()
}
