//! The contents of the table and the topic, read from outside; and which of it is not settled.

use anyhow::{Context, Result};
use serde_json::Value;

use super::{BrokerControl, Effect, Stack, Unsettled, lag, lock};
use crate::http::Answer;

impl Stack {
    /// Every effect: from the embedded table, or else of every run of this stack, as returned by ingest.
    ///
    /// # Errors
    /// The table or ingest can't be asked.
    pub async fn effects(&self) -> Result<Vec<Effect>> {
        if let Some(table) = &self.table {
            let items = table.scan().await?.into_iter();
            return Ok(items.filter_map(|item| Effect::read(&run_id(&item), item)).collect());
        }
        let runs = lock(&self.runs).clone();
        let mut effects = Vec::new();
        for run in runs {
            let answer = self.get(&format!("/runs/{run}")).await?.json();
            let records = answer["effects"].as_array().cloned().unwrap_or_default().into_iter();
            effects.extend(records.filter_map(|record| Effect::read(&run, record)));
        }
        Ok(effects)
    }

    /// One effect.
    ///
    /// # Errors
    /// It does not exist, or the table can't be asked.
    pub async fn effect(&self, effect_id: &str) -> Result<Effect> {
        let found = self.effects().await?.into_iter().find(|effect| effect.effect_id == effect_id);
        found.with_context(|| format!("no effect {effect_id:?}"))
    }

    /// Everything that is neither done nor parked: effects, and unacked messages.
    ///
    /// # Errors
    /// The table or the broker can't be asked.
    pub async fn unsettled(&self) -> Result<Vec<Unsettled>> {
        let all = self.effects().await?;
        let effects = all.iter().filter(|effect| !effect.is_settled() && !effect.is_stopped(&all));
        let mut left: Vec<_> = effects.map(|effect| Unsettled::Effect(Box::new(effect.clone()))).collect();
        let unacked = self.unacked().await?;
        if unacked > 0 {
            left.push(Unsettled::Unacked(unacked));
        }
        Ok(left)
    }

    /// The number of the topic's messages that the group has not acked, at all brokers.
    ///
    /// # Errors
    /// A broker can't be asked.
    pub async fn unacked(&self) -> Result<u64> {
        let mut unacked = 0;
        for broker in self.brokers() {
            unacked += self.unacked_at(broker).await?;
        }
        Ok(unacked)
    }

    /// The number of the topic's messages that the group has not acked at that broker.
    ///
    /// # Errors
    /// The broker can't be asked.
    pub async fn unacked_at(&self, broker: &BrokerControl) -> Result<u64> {
        let asked = self.client.get(format!("{}/metrics", broker.url())).send().await;
        let metrics = Answer::read(asked.context("the broker's metrics")?).await?;
        let lag = lag::lag(&metrics, &self.topic, &self.group);
        // A group that has never consumed has acked nothing.
        Ok(lag.unwrap_or_else(|| lag::produced(broker.proxy(), &self.topic)))
    }
}

fn run_id(item: &Value) -> String {
    item["run_id"].as_str().unwrap_or_default().to_owned()
}
