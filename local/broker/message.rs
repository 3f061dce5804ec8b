//! A message: key, value, envelope, and the line that a consumer reads.

use serde::{Deserialize, Serialize};

use super::parity::deadline::Deadline;

/// A message at its position in a partition. Never changed once produced.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Message {
    pub(super) partition: usize,
    pub(super) offset: i64,
    pub(super) key: String,
    pub(super) value: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) envelope: Option<Envelope>,
    /// Where a dead letter came from. Written to the WAL only: consumers never see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) dead_letter: Option<DeadLetter>,
}

impl Message {
    /// The size that counts against a partition's byte limit.
    pub(super) fn bytes(&self) -> usize {
        self.key.len() + self.value.len()
    }

    /// `(tenant, idempotency key)`, if the producer gave a key.
    pub(super) fn idempotency(&self) -> Option<(&str, &str)> {
        let envelope = self.envelope.as_ref()?;
        let key = envelope.idempotency_key.as_str();
        (!key.is_empty()).then_some((envelope.tenant_id.as_str(), key))
    }

    pub(super) fn retry_policy(&self) -> Option<&RetryPolicy> {
        self.envelope.as_ref()?.retry_policy.as_ref()
    }
}

/// The optional part of a message. An empty string is an absent field, as in Go.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Envelope {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) run_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) step_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) parent_step_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) tenant_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) idempotency_key: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) target_topic: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) deadline: Option<Deadline>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) retry_policy: Option<RetryPolicy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) partition_override: Option<i64>,
}

/// How often a message may be delivered, and how long to wait in between.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct RetryPolicy {
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) max_attempts: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) backoff_ms: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) max_backoff_ms: i64,
}

impl RetryPolicy {
    /// Doubling from `backoff_ms`, at most `max_backoff_ms` (1, 2, 4, 4 s).
    pub(super) fn backoff_ms(&self, retry: i64) -> i64 {
        let doublings = u32::try_from(retry - 1).unwrap_or(0).min(62);
        let backoff = self.backoff_ms.max(0).saturating_mul(1 << doublings);
        if self.max_backoff_ms > 0 { backoff.min(self.max_backoff_ms) } else { backoff }
    }
}

/// A dead letter's origin, as the WAL keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct DeadLetter {
    pub(super) topic: String,
    pub(super) partition: usize,
    pub(super) offset: i64,
    pub(super) attempts: i64,
    pub(super) last_error: String,
    pub(super) routed_at_ms: i64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}
