//! Effects in the table, read from outside.

use std::fmt;

use serde_json::Value;

/// One effect's record.
#[derive(Debug, Clone)]
pub struct Effect {
    /// Its run.
    pub run_id: String,
    /// Its id.
    pub effect_id: String,
    /// Its step.
    pub step: String,
    /// Its business key.
    pub business_key: String,
    /// `pending`, `in_progress`, `waiting`, `done`, `parked`, `discarded`, `awaiting` or `skipped`.
    pub status: String,
    /// Attempts so far.
    pub attempt: u64,
    /// The whole record, as plain JSON.
    pub record: Value,
}

impl Effect {
    /// Reads a record. None: it is an internal record, not an effect.
    pub(super) fn read(run_id: &str, record: Value) -> Option<Self> {
        let text = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
        let (effect_id, status) = (text("effect_id"), text("status"));
        let is_bookkeeping = run_id.starts_with(':') || effect_id.starts_with(':');
        if is_bookkeeping && status != "parked" {
            return None;
        }
        Some(Self {
            run_id: run_id.to_owned(),
            effect_id,
            step: text("step"),
            business_key: text("business_key"),
            status,
            attempt: record["attempt"].as_u64().unwrap_or_default(),
            record,
        })
    }

    /// Whether nothing more will happen to it by itself.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        matches!(self.status.as_str(), "done" | "parked" | "discarded" | "skipped")
    }

    /// Whether it waits for several steps, one of which has stopped its run. Nothing more happens to it before an operator decides.
    pub(super) fn is_stopped(&self, all: &[Self]) -> bool {
        let stops = |other: &Self| matches!(other.status.as_str(), "parked" | "discarded");
        self.status == "awaiting" && all.iter().any(|other| other.run_id == self.run_id && stops(other))
    }

    /// Whether an operator has to decide.
    #[must_use]
    pub fn is_parked(&self) -> bool {
        self.status == "parked"
    }

    /// Whether it was done.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.status == "done"
    }

    /// The reason for which it waits or is parked.
    #[must_use]
    pub fn last_error(&self) -> &str {
        self.record["last_error"].as_str().unwrap_or_default()
    }
}

/// Something that is neither done nor parked.
#[derive(Debug, Clone)]
pub enum Unsettled {
    /// An effect in progress.
    Effect(Box<Effect>),
    /// Messages in the topic that have not been acked.
    Unacked(u64),
}

impl fmt::Display for Unsettled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Effect(effect) => {
                write!(f, "{} is {} (attempt {})", effect.effect_id, effect.status, effect.attempt)?;
                if effect.last_error().is_empty() { Ok(()) } else { write!(f, ": {}", effect.last_error()) }
            }
            Self::Unacked(count) => write!(f, "{count} messages in the topic are not acked"),
        }
    }
}
