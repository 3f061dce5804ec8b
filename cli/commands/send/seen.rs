//! Whether what is sent was there before.

use std::collections::BTreeSet;

use anyhow::Result;
use driftq_webhooks::{config::Config, effect_id::EffectId, ingest::preview::Preview};
use jiff::Timestamp;
use local::{
    http::{self, Answer},
    webhook::Webhook,
};

use super::PATIENCE;
use crate::event::request;

/// The effects that it asks for and that are on record, and how each stands.
pub(super) struct Seen(Vec<(EffectId, String)>);

impl Seen {
    /// Asks before anything is sent. Nothing is said where nobody may ask.
    pub(super) async fn before(url: &str, webhook: &Webhook, config: &Config) -> Result<Self> {
        let client = http::client_for(url)?;
        let effects = effects(webhook, config)?;
        let runs: BTreeSet<_> = effects.iter().map(|effect| effect.run_id().as_str()).collect();
        let mut seen = Vec::new();
        for run in runs {
            // If nobody answers, sending it fails as well, and says more.
            let answer = client.get(format!("{url}/runs/{run}")).timeout(PATIENCE).send().await;
            let Ok(answer) = answer else { break };
            let run = Answer::read(answer).await?.json();
            for on_record in run["effects"].as_array().into_iter().flatten() {
                let same = effects.iter().find(|effect| on_record["effect_id"] == effect.to_string());
                let status = on_record["status"].as_str().unwrap_or_default().replace('_', " ");
                seen.extend(same.map(|effect| (effect.clone(), status)));
            }
        }
        Ok(Self(seen))
    }

    /// One for each.
    pub(super) fn lines(&self) -> Vec<String> {
        let line = |(effect, status): &(EffectId, String)| {
            format!("duplicate: {} {} was there already, {status}", effect.step_id(), effect.business_key())
        };
        self.0.iter().map(line).collect()
    }
}

fn effects(webhook: &Webhook, config: &Config) -> Result<Vec<EffectId>> {
    let Some(source) = config.sources.get(&webhook.source) else { return Ok(Vec::new()) };
    let request = request(webhook)?;
    let Preview::Events(events) = Preview::of(&request, source, None, config, Timestamp::now()) else {
        return Ok(Vec::new());
    };
    let choices = events.into_iter().flat_map(|event| event.steps);
    Ok(choices.filter_map(|(_, choice)| Some(choice.ok()?.ok()?.effect)).collect())
}
