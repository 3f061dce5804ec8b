//! The retry agenda: a sparse index of the records that want attention at some time, in several lanes.
//!
//! One mechanism with four users: ingest when the broker refuses, a call that has to wait, a message whose effect
//! another attempt has, and a person who wants a parked effect tried again. Parked records stand in a lane of their own,
//! which nobody relays: it lists what a person should look at.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::{
    DUE_INDEX, Effects, How, LANES, PARKED_LANE,
    error::StoreError,
    guard::{Mismatch, new_item},
    record::{Item, Record, Status, attr, count, millis, string},
    store::{Change, Condition, Write},
};
use crate::{command::Command, effect_id::EffectId};

/// A record whose time has come.
#[derive(Debug, Clone, PartialEq)]
pub struct Due {
    run_id: String,
    /// The effect.
    pub effect_id: String,
    /// Since when it is due.
    pub due_at: Timestamp,
    /// What to publish.
    pub command: Command,
}

impl Effects {
    /// Keeps a command, to be published at `due`, and says what became of it. A record that is there already answers for
    /// it, unless that contradicts it: then it is parked.
    ///
    /// # Errors
    /// It is not durable here either.
    pub async fn pend(
        &self,
        effect: &EffectId,
        command: &Command,
        due: Timestamp,
        now: Timestamp,
    ) -> Result<How, StoreError> {
        let mut item = new_item(effect, Status::Pending, &command.input_hash, now);
        item.insert(attr::ATTEMPT.into(), count(0));
        item.insert(attr::COMMAND.into(), string(command.to_json()));
        item.insert(attr::LANE.into(), self.lane(effect));
        item.insert(attr::DUE_AT.into(), millis(due));
        match self.store.put(item, absent()).await? {
            Write::Applied(_) => Ok(How::Deferred),
            Write::Refused(item) => {
                let record = Record::read(&item)?;
                if !record.contradicts(command) {
                    if record.status.is_over() {
                        // Ingest has just left its input here again.
                        self.expire_input(command, now).await?;
                    }
                    return Ok(How::Duplicate);
                }
                let mismatch = Mismatch::OtherInput { recorded: record.input_hash };
                Ok(self.park_mismatch(effect, command, &mismatch, now).await?.how())
            }
        }
    }

    /// Publishes a pending command at once after all.
    ///
    /// # Errors
    /// DynamoDB could not be asked; it comes due when it was to.
    pub async fn hasten(&self, effect: &EffectId, now: Timestamp) -> Result<(), StoreError> {
        let condition = Condition {
            expression: "#status = :pending",
            names: &[attr::STATUS],
            values: vec![("pending", string(Status::Pending.as_str()))],
        };
        let change = Change::default().set(attr::DUE_AT, millis(now));
        // Refused: it has been claimed meanwhile, which is as good.
        self.store.update((effect.run_id().as_str(), &effect.to_string()), change, condition).await.map(drop)
    }

    /// Records of one lane that are due, the oldest first, at most `limit` of them.
    ///
    /// # Errors
    /// DynamoDB could not be asked.
    pub async fn due(&self, lane: u32, now: Timestamp, limit: i32) -> Result<Vec<Due>, StoreError> {
        let page = self.lane_until(&lane.to_string(), now, limit).await?;
        Ok(page.iter().filter_map(read_due).collect())
    }

    /// A due command has been published, and nothing came of it yet. It comes due again at `later`: if it is on its way, a
    /// claim takes it off the agenda by then, and if the broker has lost it, it is published again.
    ///
    /// # Errors
    /// DynamoDB could not be asked; it stays due, and a copy more does no harm.
    pub async fn put_off(&self, due: &Due, later: Timestamp) -> Result<(), StoreError> {
        let condition = Condition {
            expression: "#due_at = :seen",
            names: &[attr::DUE_AT],
            values: vec![("seen", millis(due.due_at))],
        };
        let change = Change::default().set(attr::DUE_AT, millis(later));
        // Refused: it has been claimed or deferred meanwhile, which is as good.
        self.store.update((&due.run_id, &due.effect_id), change, condition).await.map(drop)
    }

    /// One page of a lane, by time.
    async fn lane_until(&self, lane: &str, until: Timestamp, limit: i32) -> Result<Vec<Item>, StoreError> {
        let query = self.store.client.query().table_name(&self.store.table).index_name(DUE_INDEX);
        let page = query
            .key_condition_expression("lane = :lane AND due_at <= :until")
            .expression_attribute_values(":lane", string(lane))
            .expression_attribute_values(":until", millis(until))
            .limit(limit)
            .send()
            .await
            .map_err(|error| StoreError::unavailable("Query", &error))?;
        Ok(page.items.unwrap_or_default())
    }

    /// Any spread over the lanes will do, as long as an effect stays in its own.
    pub(super) fn lane(&self, effect: &EffectId) -> AttributeValue {
        let digest = Sha256::digest(effect.to_string());
        string((u32::from(digest[0]) % LANES).to_string())
    }

    /// The parked records, those longest parked first, at most `limit` of them.
    ///
    /// # Errors
    /// DynamoDB could not be asked.
    pub async fn parked(&self, limit: i32) -> Result<Vec<Record>, StoreError> {
        self.lane_until(PARKED_LANE, Timestamp::MAX, limit).await?.iter().map(Record::read).collect()
    }
}

/// Only where no record stands.
pub(super) fn absent() -> Condition<'static> {
    Condition {
        expression: "attribute_not_exists(#effect_id)",
        names: &[attr::EFFECT_ID],
        values: Vec::new(),
    }
}

/// A record that somebody spoilt by hand is passed over here; its claim would report it.
fn read_due(item: &Item) -> Option<Due> {
    let record = Record::read(item).ok()?;
    Some(Due {
        run_id: item.get(attr::RUN_ID)?.as_s().ok()?.clone(),
        effect_id: record.effect_id,
        due_at: record.due_at?,
        command: serde_json::from_str(&record.command?).ok()?,
    })
}
