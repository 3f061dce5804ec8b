//! How an effect's attempts ended: the first few and the newest ones, so that a record stays small however often its
//! effect is tried.
//!
//! DynamoDB can't trim a list in the update that appends to it, so a record's history is written whole, from the record as
//! it was read, and only while the record is unchanged.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use serde::Serialize;

use super::{
    attributes::{Item, attr, count, millis, number, optional_text, short, string, time},
    error::StoreError,
    expression::Change,
};

/// Entries that are kept, each of at most about 1.1 KB.
const KEPT: usize = 50;
/// How many of them are the first entries; the others are the newest.
const FIRST: usize = 5;

/// How one attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AttemptEnd {
    /// The attempt, from 1.
    pub attempt: u32,
    /// When the end was recorded.
    pub at: Timestamp,
    /// `done`, or the reason for another end; or the operator's decision after it.
    pub what: String,
    /// The operator, as authenticated by AWS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// How all attempts ended, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct History {
    /// The first few and the newest.
    #[serde(rename = "history", skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<AttemptEnd>,
    /// How many entries between them were dropped.
    #[serde(rename = "history_dropped", skip_serializing_if = "is_zero")]
    pub dropped: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl AttemptEnd {
    /// A new entry. A long `what` is cut.
    pub(super) fn new(attempt: u32, at: Timestamp, what: &str) -> Self {
        Self { attempt, at, what: short(what), by: None }
    }

    /// Adds the operator who decided.
    pub(super) fn by(self, who: &str) -> Self {
        Self { by: Some(short(who)), ..self }
    }

    /// Whether this is the same entry, at the precision of the table.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.write() == other.write()
    }

    fn write(&self) -> AttributeValue {
        let mut entry = Item::from([
            (attr::ATTEMPT.into(), count(self.attempt)),
            ("at".into(), millis(self.at)),
            ("what".into(), string(&self.what)),
        ]);
        if let Some(by) = &self.by {
            entry.insert("by".into(), string(by));
        }
        AttributeValue::M(entry)
    }

    fn read(entry: &AttributeValue) -> Option<Self> {
        let entry = entry.as_m().ok()?;
        let attempt = number(entry, attr::ATTEMPT).ok()??;
        let (at, by) = (time(entry, "at").ok()??, optional_text(entry, "by"));
        Some(Self { attempt, at, what: optional_text(entry, "what")?, by })
    }
}

impl History {
    pub(super) fn read(item: &Item) -> Result<Self, StoreError> {
        let entries = item.get(attr::HISTORY).and_then(|list| list.as_l().ok());
        let entries = entries.into_iter().flatten().filter_map(AttemptEnd::read).collect();
        Ok(Self { entries, dropped: number(item, attr::HISTORY_DROPPED)?.unwrap_or_default() })
    }

    /// Adds an entry, and drops the oldest after the first few if there are too many.
    pub(super) fn with(mut self, ended: AttemptEnd) -> Self {
        self.entries.push(ended);
        while self.entries.len() > KEPT {
            self.entries.remove(FIRST);
            self.dropped = self.dropped.saturating_add(1);
        }
        self
    }

    /// Its entries as an attribute value.
    pub(super) fn value(&self) -> AttributeValue {
        AttributeValue::L(self.entries.iter().map(AttemptEnd::write).collect())
    }

    /// Replaces the record's history.
    pub(super) fn write(&self, change: Change) -> Change {
        let change = change.set(attr::HISTORY, self.value());
        if self.dropped == 0 { change } else { change.set(attr::HISTORY_DROPPED, count(self.dropped)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_newest_entries_are_kept_and_the_others_counted() {
        let ended = |attempt| AttemptEnd::new(attempt, Timestamp::UNIX_EPOCH, "answered 429");
        let history = (1..=60).fold(History::default(), |history, attempt| history.with(ended(attempt)));
        let attempts: Vec<_> = history.entries.iter().map(|ended| ended.attempt).collect();
        assert_eq!((attempts.len(), history.dropped), (50, 10));
        assert_eq!((&attempts[..6], attempts[49]), (&[1, 2, 3, 4, 5, 16][..], 60));
    }

    #[test]
    fn a_long_history_of_an_earlier_version_is_trimmed() {
        let entries: Vec<_> =
            (1..=80).map(|attempt| AttemptEnd::new(attempt, Timestamp::UNIX_EPOCH, "x")).collect();
        let history =
            History { entries, dropped: 0 }.with(AttemptEnd::new(81, Timestamp::UNIX_EPOCH, "done"));
        assert_eq!((history.entries.len(), history.dropped), (50, 31));
    }
}
