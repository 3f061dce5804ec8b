//! Redelivery requests: which events a provider was asked to deliver again and that have not arrived yet. One small record per event, under
//! a run id of the source's own. It is not an effect and is in no index.
//!
//! A redelivery looks like the first delivery, so ingest can't tell them apart. But the provider lists the delivery with our response, which
//! names the effects. Those are then marked as recovered. This adds no cost to ingest or to effects.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};

use super::{
    attributes::{Item, attr, millis, optional_text, seconds, string, time},
    error::StoreError,
    expression::{Change, Condition},
    reconciliation::Reconciliation,
    store::Write,
};
use crate::effect_id::EffectId;

const ASKED_AT: &str = "asked_at";
const LOST: &str = "lost";
/// The longest time for which a provider that redelivers on request keeps its deliveries.
const KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A requested redelivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// When it was requested.
    pub at: Timestamp,
    /// The provider no longer has the event, and that was reported.
    pub is_lost: bool,
}

/// The run id of a source's records. No run has it: run ids hold no `:`.
fn partition(source: &str) -> String {
    format!(":asked:{source}")
}

impl Reconciliation {
    /// Records that a redelivery was requested, or that the event is lost.
    ///
    /// # Errors
    /// DynamoDB could not be asked.
    pub async fn remember_asked(&self, source: &str, event_id: &str, asked: Asked) -> Result<(), StoreError> {
        let Asked { at, is_lost } = asked;
        let mut item = Item::from([
            (attr::RUN_ID.into(), string(partition(source))),
            (attr::EFFECT_ID.into(), string(event_id)),
            (ASKED_AT.into(), millis(at)),
            (attr::EXPIRES_AT.into(), seconds(at + KEPT)),
        ]);
        if is_lost {
            item.insert(LOST.into(), AttributeValue::Bool(true));
        }
        let put = self.store.client.put_item().table_name(&*self.store.table).set_item(Some(item));
        put.send().await.map(drop).map_err(|error| StoreError::unavailable("PutItem", &error))
    }

    /// The events of a source that were requested and have not arrived yet.
    ///
    /// # Errors
    /// DynamoDB could not be asked.
    pub async fn asked(&self, source: &str) -> Result<HashMap<String, Asked>, StoreError> {
        let (mut asked, mut from) = (HashMap::new(), None);
        loop {
            let (items, next) = self.store.run_items(&partition(source), from).await?;
            for item in items {
                let at = time(&item, ASKED_AT)?.ok_or(StoreError::Malformed(ASKED_AT))?;
                let is_lost = item.contains_key(LOST);
                let event_id = optional_text(&item, attr::EFFECT_ID);
                asked.extend(event_id.map(|event_id| (event_id, Asked { at, is_lost })));
            }
            from = next;
            if from.is_none() {
                return Ok(asked);
            }
        }
    }

    /// Removes the record of a requested event.
    ///
    /// # Errors
    /// DynamoDB could not be asked.
    pub async fn forget_asked(&self, source: &str, event_id: &str) -> Result<(), StoreError> {
        let delete = self.store.client.delete_item().table_name(&*self.store.table);
        let delete = delete.key(attr::RUN_ID, string(partition(source)));
        let delete = delete.key(attr::EFFECT_ID, string(event_id));
        delete.send().await.map(drop).map_err(|error| StoreError::unavailable("DeleteItem", &error))
    }

    /// Marks an effect as recovered at that time. False: it has no record yet.
    ///
    /// # Errors
    /// DynamoDB could not be asked.
    pub async fn mark_recovered(&self, effect: &EffectId, at: Timestamp) -> Result<bool, StoreError> {
        let recorded =
            Condition { expression: "attribute_exists(#status)", names: &[attr::STATUS], values: Vec::new() };
        let change = Change::default().set_once(attr::RECOVERED_AT, millis(at));
        let name = effect.to_string();
        let write = self.store.update((effect.run_id().as_str(), &name), change, recorded).await?;
        Ok(matches!(write, Write::Applied(_)))
    }
}
