//! `Idempotency-Key`s of clients: the same key with another payload is refused at once, before the command reaches the consumer.

use jiff::Timestamp;

use super::{
    attributes::{Item, attr, string},
    error::StoreError,
    new_record::absent,
    store::{Store, Write},
};
use crate::{command::InputHash, effect_id::EffectId};

/// Remembers the idempotency keys of clients.
#[derive(Debug, Clone)]
pub struct IdempotencyKeys {
    pub(super) store: Store,
}

impl IdempotencyKeys {
    /// Records the effect and the input with which a run was started. False: the run was started with another
    /// effect or other input.
    ///
    /// # Errors
    /// DynamoDB could not be asked.
    pub async fn remember(
        &self,
        effect: &EffectId,
        input: &InputHash,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let asked = format!("{effect} {}", input.as_str());
        let item = Item::from([
            (attr::RUN_ID.into(), string(format!(":request:{}", effect.run_id()))),
            (attr::EFFECT_ID.into(), string(":request")),
            (attr::COMMAND.into(), string(&asked)),
            (attr::EXPIRES_AT.into(), self.store.expiry(now)),
        ]);
        Ok(match self.store.put(item, absent()).await? {
            Write::Applied(_) => true,
            Write::Refused(item) => {
                item.get(attr::COMMAND).and_then(|value| value.as_s().ok()) == Some(&asked)
            }
        })
    }
}
