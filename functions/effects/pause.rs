//! A pause of the consumer: a record in the table, which each run checks before it does anything. It is not part of a deployment, so a
//! deployment does not end it.

use jiff::Timestamp;
use serde::Serialize;

use super::{
    attributes::{Item, attr, millis, optional_text, string, time},
    error::StoreError,
    store::Store,
};

/// The run id of the record. No run has it: run ids hold no `:`.
const PAUSE: &str = ":pause";
const CONSUMER: &str = "consumer";
const BY: &str = "by";
const NOTE: &str = "note";
const SINCE: &str = "since";

/// Who has paused the consumer, when and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pause {
    /// Since when.
    pub since: Timestamp,
    /// The operator who paused it.
    pub by: String,
    /// The reason.
    pub note: String,
}

/// Reads, begins and ends the pause.
#[derive(Debug, Clone)]
pub struct Pauses {
    pub(super) store: Store,
}

impl Pauses {
    /// The pause in force, if any.
    ///
    /// # Errors
    /// DynamoDB could not be asked, or the record is malformed.
    pub async fn current(&self) -> Result<Option<Pause>, StoreError> {
        let get = self.store.client.get_item().table_name(&*self.store.table).consistent_read(true);
        let output = get
            .key(attr::RUN_ID, string(PAUSE))
            .key(attr::EFFECT_ID, string(CONSUMER))
            .send()
            .await
            .map_err(|error| StoreError::unavailable("GetItem", &error))?;
        output.item.as_ref().map(read).transpose()
    }

    /// Pauses the consumer: runs that begin from now on do nothing. A pause that is in force is replaced.
    ///
    /// # Errors
    /// DynamoDB could not be asked.
    pub async fn begin(&self, pause: &Pause) -> Result<(), StoreError> {
        let item = Item::from([
            (attr::RUN_ID.into(), string(PAUSE)),
            (attr::EFFECT_ID.into(), string(CONSUMER)),
            (SINCE.into(), millis(pause.since)),
            (BY.into(), string(&pause.by)),
            (NOTE.into(), string(&pause.note)),
        ]);
        let put = self.store.client.put_item().table_name(&*self.store.table).set_item(Some(item));
        put.send().await.map(drop).map_err(|error| StoreError::unavailable("PutItem", &error))
    }

    /// Ends the pause, if there is one. It is idempotent.
    ///
    /// # Errors
    /// DynamoDB could not be asked.
    pub async fn end(&self) -> Result<(), StoreError> {
        let delete = self.store.client.delete_item().table_name(&*self.store.table);
        let delete = delete.key(attr::RUN_ID, string(PAUSE)).key(attr::EFFECT_ID, string(CONSUMER));
        delete.send().await.map(drop).map_err(|error| StoreError::unavailable("DeleteItem", &error))
    }
}

fn read(item: &Item) -> Result<Pause, StoreError> {
    Ok(Pause {
        since: time(item, SINCE)?.ok_or(StoreError::Malformed(SINCE))?,
        by: optional_text(item, BY).unwrap_or_default(),
        note: optional_text(item, NOTE).unwrap_or_default(),
    })
}
