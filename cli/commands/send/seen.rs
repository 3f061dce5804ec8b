//! Whether a webhook that is sent is a duplicate.

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

/// The effects that the webhook starts and that already have a record, with their states.
pub(super) struct Seen(Vec<(EffectId, String)>);

impl Seen {
    /// Asks before the webhook is sent. Empty if the gateway does not allow the question.
    pub(super) async fn before(url: &str, webhook: &Webhook, config: &Config) -> Result<Self> {
        let client = http::client_for(url)?;
        let effects = effects(webhook, config)?;
        let runs: BTreeSet<_> = effects.iter().map(|effect| effect.run_id().as_str()).collect();
        let mut seen = Vec::new();
        for run in runs {
            // If there is no answer, sending fails as well, with a better error.
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

    /// One line for each effect.
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
