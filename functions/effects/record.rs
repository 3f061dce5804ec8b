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

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::{
    attributes::{Item, attr, number, optional_text, text, time},
    error::StoreError,
};
pub use super::{
    history::{AttemptEnd, History},
    receipt::Receipt,
};
use crate::command::{Command, InputHash};

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
