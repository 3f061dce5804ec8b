//! The lanes of the agenda. A record under `:lanes` names every lane that was ever used, so that effects of a step that was removed
//! from the configuration are still found.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aws_sdk_dynamodb::types::AttributeValue;

use super::{
    attributes::{attr, string},
    error::StoreError,
    store::Store,
};
use crate::effect_id::StepId;

/// The run id of the record that names the lanes. No run has it: run ids hold no `:`.
const LANES_RUN: &str = ":lanes";
const LANES: &str = "lanes";

/// Registers lanes.
#[derive(Debug, Clone)]
pub(super) struct Lanes {
    store: Store,
    /// Those that this process has registered.
    known: Arc<Mutex<HashSet<StepId>>>,
}

impl Lanes {
    pub(super) fn new(store: Store) -> Self {
        Self { store, known: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<StepId>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers the lanes of these steps, once per process. Call it before a lane's first use, so that every lane with records is read.
    pub(super) async fn register(&self, steps: impl IntoIterator<Item = &StepId>) -> Result<(), StoreError> {
        let unknown: Vec<_> = {
            let known = self.lock();
            steps.into_iter().filter(|step| !known.contains(*step)).cloned().collect()
        };
        if unknown.is_empty() {
            return Ok(());
        }
        let written = self.store.lanes().await?;
        let names: Vec<_> = unknown.iter().map(|step| step.as_str().to_owned()).collect();
        let names: Vec<_> = names.into_iter().filter(|name| !written.contains(name)).collect();
        if !names.is_empty() {
            self.add_lanes(names).await?;
        }
        self.lock().extend(unknown);
        Ok(())
    }

    async fn add_lanes(&self, names: Vec<String>) -> Result<(), StoreError> {
        let update = self.store.client.update_item().table_name(&*self.store.table);
        let update = update
            .key(attr::RUN_ID, string(LANES_RUN))
            .key(attr::EFFECT_ID, string(LANES))
            .update_expression("ADD lanes :new")
            .expression_attribute_values(":new", AttributeValue::Ss(names));
        let added = Box::pin(update.send()).await;
        added.map(drop).map_err(|error| StoreError::unavailable("UpdateItem", &error))
    }
}

impl Store {
    /// Every lane that was ever used.
    pub(super) async fn lanes(&self) -> Result<Vec<String>, StoreError> {
        let get = self.client.get_item().table_name(&*self.table);
        let get = get.key(attr::RUN_ID, string(LANES_RUN)).key(attr::EFFECT_ID, string(LANES));
        let output =
            Box::pin(get.send()).await.map_err(|error| StoreError::unavailable("GetItem", &error))?;
        let item = output.item.unwrap_or_default();
        Ok(item.get(LANES).and_then(|lanes| lanes.as_ss().ok()).cloned().unwrap_or_default())
    }
}
