//! The agenda: a sparse index of records that are due at some time, by lane and time.
//!
//! Each step has its own lane, so that a long queue of one destination does not hide due records of another.
//! A record gets here when the broker refuses a command, when a call has to wait, when a message must not hold up its
//! partition, by a claim (for the end of its lease), and when an operator wants a parked effect tried again. The consumer
//! works due records directly. Parked records have their own lane, which lists what an operator has to decide.
//!
//! A record under `:lanes` names every lane that was ever used, so that effects of a step that was removed from the
//! configuration are still found.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    operation::query::builders::QueryFluentBuilder,
    types::{AttributeValue, Select},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{
    DUE_INDEX, Effects, How, PARKED_LANE, Settled,
    error::StoreError,
    guard::{Held, Mismatch, new_item},
    record::{Item, Record, Status, attr, count, millis, string},
    store::{Change, Condition, Write},
};
use crate::{
    command::Command,
    effect_id::{EffectId, StepId},
};

/// The run of the record that names the lanes. No run id can be this: they hold no `:`.
const LANES_RUN: &str = ":lanes";
const LANES: &str = "lanes";

/// A record that is due or will soon be due.
#[derive(Debug, Clone, PartialEq)]
pub struct Due {
    /// When it is due.
    pub due_at: Timestamp,
    /// Its command.
    pub command: Command,
}

/// A page of a lane, by time.
#[derive(Debug, Default)]
pub struct Page {
    /// Its records, the earliest first.
    pub due: Vec<Due>,
    /// Records without a readable command: something else wrote them.
    pub unreadable: usize,
    /// Where the next page begins, if there may be one.
    pub next: Option<Cursor>,
}

/// A place in a lane.
#[derive(Debug, Clone)]
pub struct Cursor(pub(super) HashMap<String, AttributeValue>);

impl Cursor {
    /// As a text for a URL.
    #[must_use]
    pub fn token(&self) -> String {
        let plain = |value: &AttributeValue| match value {
            AttributeValue::S(text) => Some(Value::from(text.as_str())),
            AttributeValue::N(number) => Some(serde_json::json!({ "n": number })),
            _ => None,
        };
        let key: Map<_, _> =
            self.0.iter().filter_map(|(name, value)| Some((name.clone(), plain(value)?))).collect();
        URL_SAFE_NO_PAD.encode(Value::from(key).to_string())
    }

    /// Reads such a text; none if it is malformed.
    #[must_use]
    pub fn of_token(token: &str) -> Option<Self> {
        let key: Map<String, Value> = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
        let typed = |value: &Value| match value {
            Value::String(text) => Some(AttributeValue::S(text.clone())),
            number => Some(AttributeValue::N(number["n"].as_str()?.to_owned())),
        };
        let key = key.iter().map(|(name, value)| Some((name.clone(), typed(value)?)));
        Some(Self(key.collect::<Option<_>>()?))
    }
}

/// How much waits in a lane.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waiting {
    /// The number of records, up to the query's limit.
    pub count: u64,
    /// When the oldest became due.
    pub oldest: Option<Timestamp>,
}

impl Effects {
    /// Stores a command, due at `due`. If the effect already has a record, that record settles the message: as a duplicate, or, if an attempt
    /// is in progress, by becoming due when that attempt's lease ends. If the record contradicts the command, the command is parked.
    ///
    /// # Errors
    /// The command could not be stored durably.
    pub async fn enqueue(
        &self,
        effect: &EffectId,
        command: &Command,
        due: Timestamp,
        now: Timestamp,
    ) -> Result<Settled, StoreError> {
        self.register_lanes([effect.step_id()]).await?;
        match self.store.put(pending_item(effect, command, due, now), absent()).await? {
            Write::Applied(_) => Ok(Settled::new(How::Deferred)),
            Write::Refused(item) => self.enqueue_beside(&Record::read(&item)?, effect, command, now).await,
        }
    }

    /// There is a record already. One in progress may belong to a dead consumer, so it must become due by itself.
    async fn enqueue_beside(
        &self,
        record: &Record,
        effect: &EffectId,
        command: &Command,
        now: Timestamp,
    ) -> Result<Settled, StoreError> {
        if record.contradicts(command) {
            let mismatch = Mismatch::OtherInput { recorded: record.input_hash.clone() };
            return self.park_mismatch(effect, command, &mismatch, now).await;
        }
        let Some(held) = Held::of_record(effect, record) else {
            if record.status.is_over() {
                // Ingest has just stored its input again.
                self.expire_input(command, now).await?;
            }
            return Ok(Settled::new(How::Duplicate));
        };
        match self.watch(held, command, now).await {
            // The attempt has just recorded its outcome: done, parked, or on the agenda.
            Err(StoreError::Fenced) => Ok(Settled::new(How::Duplicate)),
            watched => watched,
        }
    }

    /// Makes a pending command due now.
    ///
    /// # Errors
    /// DynamoDB could not be asked; it becomes due at its old time.
    pub async fn expedite(&self, effect: &EffectId, now: Timestamp) -> Result<(), StoreError> {
        let condition = Condition {
            expression: "#status = :pending",
            names: &[attr::STATUS],
            values: vec![("pending", string(Status::Pending.as_str()))],
        };
        let change = Change::default().set(attr::DUE_AT, millis(now));
        // Refused: it has been claimed meanwhile, which has the same effect.
        self.store.update((effect.run_id().as_str(), &effect.to_string()), change, condition).await.map(drop)
    }

    /// Postpones a due record, unless it was claimed.
    ///
    /// # Errors
    /// DynamoDB could not be asked; it stays due.
    pub async fn postpone(
        &self,
        effect: &EffectId,
        due: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let condition = Condition {
            expression: "#status IN (:pending, :waiting) AND #due_at <= :now",
            names: &[attr::STATUS, attr::DUE_AT],
            values: vec![
                ("pending", string(Status::Pending.as_str())),
                ("waiting", string(Status::Waiting.as_str())),
                ("now", millis(now)),
            ],
        };
        let change = Change::default().set(attr::DUE_AT, millis(due));
        // Refused: another consumer has claimed or postponed it.
        self.store.update((effect.run_id().as_str(), &effect.to_string()), change, condition).await.map(drop)
    }

    /// Records of one lane that are due by `until`, the earliest first, at most `limit` of them.
    ///
    /// # Errors
    /// DynamoDB could not be asked.
    pub async fn due(
        &self,
        lane: &str,
        until: Timestamp,
        limit: i32,
        from: Option<Cursor>,
    ) -> Result<Page, StoreError> {
        let (items, next) = self.lane_until(lane, until, limit, from).await?;
        let due: Vec<_> = items.iter().filter_map(read_due).collect();
        Ok(Page { unreadable: items.len() - due.len(), due, next })
    }

    /// The query for records of a lane that are due by `until`, by time.
    fn lane_query(&self, lane: &str, until: Timestamp) -> QueryFluentBuilder {
        let query = self.store.client.query().table_name(&self.store.table).index_name(DUE_INDEX);
        query
            .key_condition_expression("lane = :lane AND due_at <= :until")
            .expression_attribute_values(":lane", string(lane))
            .expression_attribute_values(":until", millis(until))
    }

    /// One page of a lane, by time.
    pub(super) async fn lane_until(
        &self,
        lane: &str,
        until: Timestamp,
        limit: i32,
        from: Option<Cursor>,
    ) -> Result<(Vec<Item>, Option<Cursor>), StoreError> {
        let page = self
            .lane_query(lane, until)
            .limit(limit)
            .set_exclusive_start_key(from.map(|Cursor(key)| key))
            .send()
            .await
            .map_err(|error| StoreError::unavailable("Query", &error))?;
        Ok((page.items.unwrap_or_default(), page.last_evaluated_key.map(Cursor)))
    }

    /// The number of records of a lane that are due by `until`, counted up to `most`, and when the oldest became due. It
    /// reads each record that it counts.
    ///
    /// # Errors
    /// DynamoDB could not be asked.
    pub async fn waiting(&self, lane: &str, until: Timestamp, most: u16) -> Result<Waiting, StoreError> {
        let (first, next) = self.lane_until(lane, until, 1, None).await?;
        let oldest = first.first().and_then(|item| Record::read(item).ok()?.due_at);
        let mut waiting = Waiting { count: first.len() as u64, oldest };
        let mut from = next;
        while let Some(Cursor(key)) = from.filter(|_| waiting.count < u64::from(most)) {
            let page = self
                .lane_query(lane, until)
                .select(Select::Count)
                .limit(i32::from(most))
                .set_exclusive_start_key(Some(key))
                .send()
                .await
                .map_err(|error| StoreError::unavailable("Query", &error))?;
            waiting.count += u64::try_from(page.count).unwrap_or_default();
            from = page.last_evaluated_key.map(Cursor);
        }
        Ok(waiting)
    }

    /// The parked records, those longest parked first, at most `limit` of them.
    ///
    /// # Errors
    /// DynamoDB could not be asked.
    pub async fn parked(&self, limit: i32) -> Result<Vec<Record>, StoreError> {
        Ok(self.parked_page(limit, None).await?.0)
    }

    /// One page of the parked records, those longest parked first.
    ///
    /// # Errors
    /// DynamoDB could not be asked.
    pub async fn parked_page(
        &self,
        limit: i32,
        from: Option<Cursor>,
    ) -> Result<(Vec<Record>, Option<Cursor>), StoreError> {
        let (items, next) = self.lane_until(PARKED_LANE, Timestamp::MAX, limit, from).await?;
        Ok((items.iter().map(Record::read).collect::<Result<_, _>>()?, next))
    }

    /// Registers the lanes of these steps, once per process. Call it before a lane's first use, so that every lane with records is read.
    ///
    /// # Errors
    /// DynamoDB could not be asked.
    pub async fn register_lanes(&self, steps: impl IntoIterator<Item = &StepId>) -> Result<(), StoreError> {
        let unknown: Vec<_> = {
            let known = self.lanes.lock();
            steps.into_iter().filter(|step| !known.contains(*step)).cloned().collect()
        };
        if unknown.is_empty() {
            return Ok(());
        }
        let written = self.lanes().await?;
        let names: Vec<_> = unknown.iter().map(|step| step.as_str().to_owned()).collect();
        let names: Vec<_> = names.into_iter().filter(|name| !written.contains(name)).collect();
        if !names.is_empty() {
            self.add_lanes(names).await?;
        }
        self.lanes.lock().extend(unknown);
        Ok(())
    }

    async fn add_lanes(&self, names: Vec<String>) -> Result<(), StoreError> {
        let update = self.store.client.update_item().table_name(&self.store.table);
        update
            .key(attr::RUN_ID, string(LANES_RUN))
            .key(attr::EFFECT_ID, string(LANES))
            .update_expression("ADD lanes :new")
            .expression_attribute_values(":new", AttributeValue::Ss(names))
            .send()
            .await
            .map(drop)
            .map_err(|error| StoreError::unavailable("UpdateItem", &error))
    }

    /// Every lane that was ever used.
    ///
    /// # Errors
    /// DynamoDB could not be asked.
    pub async fn lanes(&self) -> Result<Vec<String>, StoreError> {
        let get = self.store.client.get_item().table_name(&self.store.table);
        let output = get
            .key(attr::RUN_ID, string(LANES_RUN))
            .key(attr::EFFECT_ID, string(LANES))
            .send()
            .await
            .map_err(|error| StoreError::unavailable("GetItem", &error))?;
        let item = output.item.unwrap_or_default();
        Ok(item.get(LANES).and_then(|lanes| lanes.as_ss().ok()).cloned().unwrap_or_default())
    }
}

/// A `pending` record, due at `due`.
pub(super) fn pending_item(effect: &EffectId, command: &Command, due: Timestamp, now: Timestamp) -> Item {
    let mut item = new_item(effect, Status::Pending, &command.input_hash, now);
    item.insert(attr::ATTEMPT.into(), count(0));
    item.insert(attr::COMMAND.into(), string(command.to_json()));
    item.insert(attr::LANE.into(), lane(effect));
    item.insert(attr::DUE_AT.into(), millis(due));
    item
}

/// The lane of an effect: its step's.
pub(super) fn lane(effect: &EffectId) -> AttributeValue {
    string(effect.step_id().as_str())
}

/// Only if there is no record.
pub(super) fn absent() -> Condition<'static> {
    Condition {
        expression: "attribute_not_exists(#effect_id)",
        names: &[attr::EFFECT_ID],
        values: Vec::new(),
    }
}

fn read_due(item: &Item) -> Option<Due> {
    let record = Record::read(item).ok()?;
    Some(Due { due_at: record.due_at?, command: record.readable_command()? })
}
