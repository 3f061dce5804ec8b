//! Effects by the time at which they were first recorded, the newest first, for operators. No function uses it.
//!
//! The index `recent` has the keys of every effect. Its partitions are days, in four shards each, so that a busy day's writes
//! are spread. Its keys never change, so it costs one write per effect; the state is read from the record.

use std::collections::{HashMap, VecDeque};

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use jiff::{Timestamp, civil::Date, tz::Offset};
use ring::digest::{SHA256, digest};

use super::{
    StoreError,
    attributes::{Item, attr, millis, optional_text, string, time},
    listing::Listing,
    record::Record,
    store::Store,
};
use crate::effect_id::EffectId;

/// The sparse index of all effects: `day` and `created_at`, keys only.
pub const RECENT_INDEX: &str = "recent";
const SHARDS: u8 = 4;
/// Keys per page of a shard, and the most records that DynamoDB returns at once.
const PAGE: i32 = 100;

/// Reads effects backwards in time.
#[derive(Debug)]
pub struct Recent<'a> {
    store: &'a Store,
    since: Timestamp,
    before: Timestamp,
    day: Date,
    shards: Vec<Shard>,
    /// Records that were read ahead.
    ahead: VecDeque<Record>,
}

#[derive(Debug)]
struct Shard {
    partition: String,
    keys: VecDeque<Key>,
    /// Where the next page begins.
    next: Next,
}

#[derive(Debug)]
enum Next {
    From(Option<HashMap<String, AttributeValue>>),
    Nowhere,
}

/// The key of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    created_at: Timestamp,
    run_id: String,
    effect_id: String,
}

/// The partition of an effect in the index.
pub(super) fn partition(effect: &EffectId, created: Timestamp) -> AttributeValue {
    let shard = digest(&SHA256, effect.to_string().as_bytes()).as_ref()[0] % SHARDS;
    string(named(day_of(created), shard))
}

fn named(day: Date, shard: u8) -> String {
    format!("{day}#{shard}")
}

fn day_of(time: Timestamp) -> Date {
    Offset::UTC.to_datetime(time).date()
}

impl Listing {
    /// Effects that were first recorded from `since` on and before `before`, the newest first.
    #[must_use]
    pub fn recent(&self, since: Timestamp, before: Timestamp) -> Recent<'_> {
        let day = day_of(before);
        Recent { store: &self.store, since, before, day, shards: shards_of(day), ahead: VecDeque::new() }
    }
}

impl Store {
    /// The existing records of these keys.
    async fn records(&self, keys: &[Key]) -> Result<Vec<Record>, StoreError> {
        let mut wanted =
            Some(keys_and_attributes(keys)?).map(|keys| HashMap::from([(self.table.to_string(), keys)]));
        let mut found = HashMap::new();
        while let Some(request) = wanted.take().filter(|request| !request.is_empty()) {
            let batch = self.client.batch_get_item().set_request_items(Some(request)).send().await;
            let batch = batch.map_err(|error| StoreError::unavailable("BatchGetItem", &error))?;
            for item in batch.responses.unwrap_or_default().remove(&*self.table).unwrap_or_default() {
                let record = Record::read(&item)?;
                found.insert((record.run_id.clone(), record.effect_id.clone()), record);
            }
            wanted = batch.unprocessed_keys;
        }
        let in_order =
            keys.iter().filter_map(|key| found.remove(&(key.run_id.clone(), key.effect_id.clone())));
        Ok(in_order.collect())
    }
}

impl Recent<'_> {
    /// The next effect; none at the end. 100 are read at a time.
    ///
    /// # Errors
    /// As [`Recent::page`].
    pub async fn next(&mut self) -> Result<Option<Record>, StoreError> {
        if self.ahead.is_empty() {
            self.ahead = self.page(100).await?.into();
        }
        Ok(self.ahead.pop_front())
    }

    /// The next effects, at most 100; empty at the end.
    ///
    /// # Errors
    /// DynamoDB could not be asked, or the table has no such index: it was made by an earlier version.
    pub async fn page(&mut self, most: usize) -> Result<Vec<Record>, StoreError> {
        if self.since >= self.before {
            return Ok(Vec::new());
        }
        loop {
            let mut keys = Vec::new();
            while keys.len() < most.min(100) {
                let Some(key) = self.next_key().await? else { break };
                keys.push(key);
            }
            if keys.is_empty() {
                return Ok(Vec::new());
            }
            // All of them may have been removed since the index was read; that is not the end.
            let records = self.store.records(&keys).await?;
            if !records.is_empty() {
                return Ok(records);
            }
        }
    }

    async fn next_key(&mut self) -> Result<Option<Key>, StoreError> {
        loop {
            for shard in &mut self.shards {
                if shard.keys.is_empty() {
                    shard.read(self.store, self.since, self.before).await?;
                }
            }
            let newest = self.shards.iter_mut().filter(|shard| !shard.keys.is_empty());
            let newest = newest.max_by_key(|shard| shard.keys.front().map(|key| key.created_at));
            if let Some(shard) = newest {
                return Ok(shard.keys.pop_front());
            }
            match self.day.yesterday() {
                Ok(yesterday) if yesterday >= day_of(self.since) => {
                    (self.day, self.shards) = (yesterday, shards_of(yesterday));
                }
                _ => return Ok(None),
            }
        }
    }
}

impl Shard {
    /// Reads until there is a key, or no more.
    async fn read(&mut self, store: &Store, since: Timestamp, before: Timestamp) -> Result<(), StoreError> {
        while let (true, Next::From(from)) = (self.keys.is_empty(), &self.next) {
            let query = store.client.query().table_name(&*store.table).index_name(RECENT_INDEX);
            let query = query
                .key_condition_expression("#day = :day AND #created BETWEEN :since AND :last")
                .expression_attribute_names("#day", attr::DAY)
                .expression_attribute_names("#created", attr::CREATED_AT)
                .expression_attribute_values(":day", string(&self.partition))
                .expression_attribute_values(":since", millis(since))
                .expression_attribute_values(":last", millis(before - jiff::SignedDuration::from_millis(1)))
                .scan_index_forward(false)
                .limit(PAGE)
                .set_exclusive_start_key(from.clone());
            let page = query.send().await.map_err(|error| StoreError::unavailable("Query", &error))?;
            self.keys.extend(page.items().iter().map(Key::read).collect::<Result<Vec<_>, _>>()?);
            self.next = page.last_evaluated_key.map_or(Next::Nowhere, |key| Next::From(Some(key)));
        }
        Ok(())
    }
}

impl Key {
    fn read(item: &Item) -> Result<Self, StoreError> {
        let text = |name| optional_text(item, name).ok_or(StoreError::Malformed(name));
        let created_at = time(item, attr::CREATED_AT)?.ok_or(StoreError::Malformed(attr::CREATED_AT))?;
        Ok(Self { created_at, run_id: text(attr::RUN_ID)?, effect_id: text(attr::EFFECT_ID)? })
    }
}

fn shards_of(day: Date) -> Vec<Shard> {
    let shard =
        |number| Shard { partition: named(day, number), keys: VecDeque::new(), next: Next::From(None) };
    (0..SHARDS).map(shard).collect()
}

fn keys_and_attributes(keys: &[Key]) -> Result<KeysAndAttributes, StoreError> {
    let key = |key: &Key| {
        HashMap::from([
            (attr::RUN_ID.to_owned(), string(&key.run_id)),
            (attr::EFFECT_ID.to_owned(), string(&key.effect_id)),
        ])
    };
    let request =
        KeysAndAttributes::builder().set_keys(Some(keys.iter().map(key).collect())).consistent_read(true);
    request
        .build()
        .map_err(|error| StoreError::Unavailable { operation: "BatchGetItem", why: error.to_string() })
}
