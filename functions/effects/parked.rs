//! Parking without a lease: commands and messages that can't be claimed at all. They are kept beside the record that they
//! contradict, if there is one, under a sort key that no effect id can have: effect ids never start with `:`.

use jiff::Timestamp;
use ring::digest::{SHA256, digest};

use super::{
    How, Settled,
    attributes::{Item, attr, count, millis, short, string},
    error::StoreError,
    guard::{Guard, Mismatch},
    new_record::{absent, new_item},
    record::Status,
};
use crate::{
    command::Command,
    effect_id::{EffectId, PARKED_LANE},
};

/// The run under which unreadable messages are parked. No other run has this id: run ids hold no `:`.
pub const MALFORMED_RUN: &str = ":malformed";

/// Bytes that are kept of an unreadable message. An item has at most 400 KB, and some brokers accept messages of that size.
const KEPT: usize = 64 * 1024;

impl Guard {
    /// Parks a command that does not match its effect's record, beside that record. If the record may have expired, the
    /// command is parked as the effect itself, so that an operator can decide.
    ///
    /// # Errors
    /// DynamoDB could not be asked.
    pub async fn park_mismatch(
        &self,
        effect: &EffectId,
        command: &Command,
        mismatch: &Mismatch,
        now: Timestamp,
    ) -> Result<Settled, StoreError> {
        let why = mismatch.why(command);
        let mut item = new_item(effect, Status::Parked, &command.input_hash, now);
        if mismatch.in_doubt() {
            item.insert(attr::DOUBT.into(), string(&why));
        } else {
            let offered = command.input_hash.as_str();
            let offered = &offered[..offered.floor_char_boundary(16)];
            item.insert(attr::EFFECT_ID.into(), string(format!(":conflict:{offered}:{effect}")));
        }
        item.insert(attr::ATTEMPT.into(), count(command.attempt));
        item.insert(attr::COMMAND.into(), string(command.to_json()));
        self.park_beside(item, &why, now).await
    }

    /// Parks an unreadable message under [`MALFORMED_RUN`] and its digest, so that it does not block the topic. A long one is cut.
    ///
    /// # Errors
    /// DynamoDB could not be asked.
    pub async fn park_malformed(
        &self,
        key: &str,
        value: &str,
        why: &str,
        now: Timestamp,
    ) -> Result<Settled, StoreError> {
        let digest = hex::encode(digest(&SHA256, value.as_bytes()));
        let kept = &value[..value.floor_char_boundary(KEPT)];
        let why = match value.len() - kept.len() {
            0 => why.to_owned(),
            cut => format!("{cut} bytes of it are cut; {why}"),
        };
        let item = Item::from([
            (attr::RUN_ID.into(), string(MALFORMED_RUN)),
            (attr::EFFECT_ID.into(), string(format!("{MALFORMED_RUN}:{digest}"))),
            (attr::STATUS.into(), string(Status::Parked.as_str())),
            (attr::STEP.into(), string("?")),
            (attr::BUSINESS_KEY.into(), string(if key.is_empty() { "?".to_owned() } else { short(key) })),
            (attr::INPUT_HASH.into(), string(digest)),
            (attr::ATTEMPT.into(), count(0)),
            (attr::COMMAND.into(), string(kept)),
            (attr::CREATED_AT.into(), millis(now)),
            (attr::UPDATED_AT.into(), millis(now)),
        ]);
        self.park_beside(item, &why, now).await
    }

    async fn park_beside(&self, mut item: Item, why: &str, now: Timestamp) -> Result<Settled, StoreError> {
        item.insert(attr::LANE.into(), string(PARKED_LANE));
        item.insert(attr::DUE_AT.into(), millis(now));
        item.insert(attr::LAST_ERROR.into(), string(short(why)));
        // Refused: it has been parked before, which has the same effect.
        self.store.put(item, absent()).await?;
        Ok(Settled::new(How::Parked))
    }
}
