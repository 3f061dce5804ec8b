//! The attributes of the table's items: their names, and how values are written and read.

use std::{collections::HashMap, str::FromStr};

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use super::error::StoreError;

/// An item of the table.
pub(super) type Item = HashMap<String, AttributeValue>;

/// Names of attributes.
pub(super) mod attr {
    pub(in crate::effects) const RUN_ID: &str = "run_id";
    pub(in crate::effects) const EFFECT_ID: &str = "effect_id";
    pub(in crate::effects) const STATUS: &str = "status";
    pub(in crate::effects) const STEP: &str = "step";
    pub(in crate::effects) const BUSINESS_KEY: &str = "business_key";
    pub(in crate::effects) const ATTEMPT: &str = "attempt";
    pub(in crate::effects) const ATTEMPT_ID: &str = "attempt_id";
    /// Attempts that no longer count against the budget, since an operator asked for more.
    pub(in crate::effects) const FORGIVEN: &str = "forgiven";
    /// When an operator asked for more: the budget of time counts from here.
    pub(in crate::effects) const FORGIVEN_AT: &str = "forgiven_at";
    pub(in crate::effects) const INPUT_HASH: &str = "input_hash";
    pub(in crate::effects) const LEASE_UNTIL: &str = "lease_until";
    pub(in crate::effects) const CREATED_AT: &str = "created_at";
    pub(in crate::effects) const UPDATED_AT: &str = "updated_at";
    pub(in crate::effects) const FIRST_ATTEMPT_AT: &str = "first_attempt_at";
    pub(in crate::effects) const DOUBT: &str = "doubt";
    pub(in crate::effects) const LAST_ERROR: &str = "last_error";
    pub(in crate::effects) const HISTORY: &str = "history";
    /// How many entries were removed from the history.
    pub(in crate::effects) const HISTORY_DROPPED: &str = "history_dropped";
    pub(in crate::effects) const RECEIPT: &str = "receipt";
    pub(in crate::effects) const COMMAND: &str = "command";
    /// The run of its last redrive.
    pub(in crate::effects) const REDRIVEN_AS: &str = "redriven_as";
    /// The effect that this one repeats.
    pub(in crate::effects) const REDRIVE_OF: &str = "redrive_of";
    /// When its event was fetched from the provider because it had not been delivered.
    pub(in crate::effects) const RECOVERED_AT: &str = "recovered_at";
    /// Hash key of the `due` index; absent from records that need no attention.
    pub(in crate::effects) const LANE: &str = "lane";
    pub(in crate::effects) const DUE_AT: &str = "due_at";
    /// How many effects the run has; only where a decision has ended one of several.
    pub(in crate::effects) const OF: &str = "of";
    /// Hash key of the `recent` index: when the effect was first recorded.
    pub(in crate::effects) const DAY: &str = "day";
    /// DynamoDB's TTL, in seconds; only on finished records, and never trusted for correctness.
    pub(in crate::effects) const EXPIRES_AT: &str = "expires_at";
}

/// Longer texts are cut: an item has at most 400 KB.
const LONGEST_TEXT: usize = 1024;
const CUT: &str = "…";

/// A text from outside, cut if it is long.
pub(super) fn short(text: &str) -> String {
    if text.len() <= LONGEST_TEXT {
        return text.to_owned();
    }
    format!("{}{CUT}", &text[..text.floor_char_boundary(LONGEST_TEXT - CUT.len())])
}

pub(super) fn string(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(super) fn count(value: u32) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(super) fn millis(time: Timestamp) -> AttributeValue {
    AttributeValue::N(time.as_millisecond().to_string())
}

pub(super) fn seconds(time: Timestamp) -> AttributeValue {
    AttributeValue::N(time.as_second().to_string())
}

pub(super) fn optional_text(item: &Item, name: &str) -> Option<String> {
    item.get(name).and_then(|value| value.as_s().ok()).cloned()
}

pub(super) fn text(item: &Item, name: &'static str) -> Result<String, StoreError> {
    optional_text(item, name).ok_or(StoreError::Malformed(name))
}

pub(super) fn number<T: FromStr>(item: &Item, name: &'static str) -> Result<Option<T>, StoreError> {
    let Some(value) = item.get(name) else { return Ok(None) };
    let parsed = value.as_n().ok().and_then(|n| n.parse().ok());
    parsed.map(Some).ok_or(StoreError::Malformed(name))
}

pub(super) fn time(item: &Item, name: &'static str) -> Result<Option<Timestamp>, StoreError> {
    let millis: Option<i64> = number(item, name)?;
    let time = millis.map(|ms| Timestamp::from_millisecond(ms).map_err(|_| StoreError::Malformed(name)));
    time.transpose()
}
