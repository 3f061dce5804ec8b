//! The record of an effect: its states, and their form in DynamoDB. `docs/design.md` has each transition.
//!
//! ```text
//! (absent) ──claim──▶ in_progress ──commit──▶ done
//! pending  ──claim──▶     │  │
//! waiting  ──claim──▶     │  └─ for good ──▶ parked
//!    ▲────── defer ───────┘
//! parked ──operator──▶ waiting | done | discarded
//!
//! A step that comes after others:
//! (absent) ──a predecessor is done──▶ awaiting ──the last one is──▶ pending
//! in_progress ──its condition does not hold──▶ skipped, with all that comes after it
//! ```

use std::{collections::HashMap, fmt};

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::error::StoreError;
pub use super::{
    history::{AttemptEnd, History},
    receipt::Receipt,
};
use crate::command::{Command, InputHash};

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
    /// How many entries the history has lost.
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

/// The state of an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Stored before any attempt: the broker did not accept it, it is journalled or delayed, or it waits for its destination.
    Pending,
    /// Claimed. If the lease has expired, it is not known whether the call was made.
    InProgress,
    /// Tried, not known to have been applied, and due to be tried again.
    Waiting,
    /// The third party applied it.
    Done,
    /// An operator has to decide.
    Parked,
    /// An operator decided against it.
    Discarded,
    /// It comes after several steps, and some of them are done.
    Awaiting,
    /// Its condition did not hold, or it comes after a step whose condition did not.
    Skipped,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Status {
    const ALL: [Self; 8] = [
        Self::Pending,
        Self::InProgress,
        Self::Waiting,
        Self::Done,
        Self::Parked,
        Self::Discarded,
        Self::Awaiting,
        Self::Skipped,
    ];

    /// Its name in the table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::InProgress => "in_progress",
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Parked => "parked",
            Self::Discarded => "discarded",
            Self::Awaiting => "awaiting",
            Self::Skipped => "skipped",
        }
    }

    /// Whether nothing is left to do or to decide.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Discarded | Self::Skipped)
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// An effect's record, as read back.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Record {
    /// The run.
    pub run_id: String,
    /// The effect, or the name of a record kept beside it.
    pub effect_id: String,
    /// The step.
    pub step: String,
    /// The business key.
    pub business_key: String,
    /// Its state.
    pub status: Status,
    /// Attempts counted so far, each at its claim.
    pub attempt: u32,
    /// When it was first recorded.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it was first claimed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_attempt_at: Option<Timestamp>,
    /// When the present attempt's lease ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<Timestamp>,
    /// When it is due, or when it was parked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// Why it is in doubt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doubt: Option<String>,
    /// The reason for which it waits or was parked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// The receipt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
    /// How its attempts ended.
    #[serde(flatten)]
    pub history: History,
    /// The command with its input, kept while an attempt or an operator may need it: JSON, or the message as it was received.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_json_if_any")]
    pub command: Option<String>,
    /// The run of its last redrive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redriven_as: Option<String>,
    /// The effect that this one redrives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redrive_of: Option<String>,
    /// When its event was fetched from the provider, since it had not arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovered_at: Option<Timestamp>,
    #[serde(skip)]
    pub(super) attempt_id: Option<String>,
    #[serde(skip)]
    pub(super) forgiven: u32,
    #[serde(skip)]
    pub(super) forgiven_at: Option<Timestamp>,
    #[serde(skip)]
    pub(super) input_hash: InputHash,
}

impl Record {
    /// The record without the step's input, which may be personal data.
    #[must_use]
    pub fn without_input(self) -> Self {
        Self { command: None, ..self }
    }

    /// The command, if the record has one that can be read.
    pub(super) fn readable_command(&self) -> Option<Command> {
        serde_json::from_str(self.command.as_deref()?).ok()
    }

    /// Whether a command has other input than this record. A done effect is never contradicted: a deployment that changes a step's `input`
    /// changes the digest of every redelivered webhook.
    pub(super) fn contradicts(&self, command: &Command) -> bool {
        self.status != Status::Done && self.input_hash != command.input_hash
    }

    /// Reads an item.
    ///
    /// # Errors
    /// An attribute is missing or of another type: another program wrote it.
    pub(super) fn read(item: &Item) -> Result<Self, StoreError> {
        let status = text(item, attr::STATUS)?;
        let status = Status::parse(&status).ok_or(StoreError::Malformed(attr::STATUS))?;
        Ok(Self {
            run_id: text(item, attr::RUN_ID)?,
            effect_id: text(item, attr::EFFECT_ID)?,
            step: text(item, attr::STEP)?,
            business_key: text(item, attr::BUSINESS_KEY)?,
            status,
            attempt: number(item, attr::ATTEMPT)?.unwrap_or_default(),
            created_at: time(item, attr::CREATED_AT)?.ok_or(StoreError::Malformed(attr::CREATED_AT))?,
            updated_at: time(item, attr::UPDATED_AT)?.ok_or(StoreError::Malformed(attr::UPDATED_AT))?,
            first_attempt_at: time(item, attr::FIRST_ATTEMPT_AT)?,
            lease_until: time(item, attr::LEASE_UNTIL)?,
            // A finished effect is in the index only until its event is published.
            due_at: time(item, attr::DUE_AT)?.filter(|_| !status.is_over()),
            doubt: optional_text(item, attr::DOUBT),
            last_error: optional_text(item, attr::LAST_ERROR),
            receipt: optional_text(item, attr::RECEIPT).and_then(|json| serde_json::from_str(&json).ok()),
            history: History::read(item)?,
            command: optional_text(item, attr::COMMAND),
            redriven_as: optional_text(item, attr::REDRIVEN_AS),
            redrive_of: optional_text(item, attr::REDRIVE_OF),
            recovered_at: time(item, attr::RECOVERED_AT)?,
            attempt_id: optional_text(item, attr::ATTEMPT_ID),
            forgiven: number(item, attr::FORGIVEN)?.unwrap_or_default(),
            forgiven_at: time(item, attr::FORGIVEN_AT)?,
            input_hash: text(item, attr::INPUT_HASH)?.into(),
        })
    }
}

fn as_json_if_any<S: Serializer>(command: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    as_json(command.as_deref().unwrap_or_default(), serializer)
}

/// Parses a text as JSON; any other text stays a text.
pub(super) fn as_json<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)).serialize(serializer)
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

fn text(item: &Item, name: &'static str) -> Result<String, StoreError> {
    optional_text(item, name).ok_or(StoreError::Malformed(name))
}

pub(super) fn number<T: std::str::FromStr>(item: &Item, name: &'static str) -> Result<Option<T>, StoreError> {
    let Some(value) = item.get(name) else { return Ok(None) };
    let parsed = value.as_n().ok().and_then(|n| n.parse().ok());
    parsed.map(Some).ok_or(StoreError::Malformed(name))
}

pub(super) fn time(item: &Item, name: &'static str) -> Result<Option<Timestamp>, StoreError> {
    let millis: Option<i64> = number(item, name)?;
    let time = millis.map(|ms| Timestamp::from_millisecond(ms).map_err(|_| StoreError::Malformed(name)));
    time.transpose()
}
