//! What each run of the consumer did, for operators: one small record per run, by time, under a run id of
//! its own. It is no effect, is in no index, and no function reads it. It expires after two days.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    Effects,
    agenda::Cursor,
    error::StoreError,
    record::{Item, attr, millis, optional_text, seconds, string},
    store::Condition,
};

/// The run id of these records. No run id can be this: they hold no `:`.
const RUNS: &str = ":runs";
const RUN: &str = "run";
/// How long they are kept. DynamoDB removes them within some days after that.
const KEPT: SignedDuration = SignedDuration::from_hours(48);

/// One run of the consumer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsumerRun {
    /// A unique name of this run.
    pub id: String,
    /// When it began.
    pub began_at: Timestamp,
    /// When this was written. If it has not ended and this is some minutes old, the run has died.
    pub written_at: Timestamp,
    /// How it ended; none while it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<End>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What it has done so far.
    pub counts: Counts,
    /// Events that did not reach the events topic.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub events_dropped: u64,
    /// From webhook to first call, if a first call was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_to_call: Option<Latency>,
    /// Each third party of the configuration, by host.
    pub destinations: Vec<DestinationState>,
    /// Each broker's stream.
    pub streams: Vec<StreamState>,
}

/// How an invocation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Nothing was left to do.
    Drained,
    /// Its time was over; the next run does the rest.
    Deadline,
    /// Another consumer reads the topic; due effects were still worked on.
    Busy,
    /// An operator has paused the consumer, so nothing was done.
    Paused,
    /// A broker or the table could not be used.
    Failed,
}

/// What a run has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Messages received, redeliveries included.
    pub received: u64,
    /// Due records worked on.
    pub from_agenda: u64,
    /// Effects done.
    pub done: u64,
    /// Commands whose effect was already on record.
    pub duplicates: u64,
    /// Effects whose condition did not hold when their turn came.
    pub skipped: u64,
    /// Effects deferred to a later attempt.
    pub deferred: u64,
    /// Messages moved to the agenda before any claim.
    pub enqueued: u64,
    /// Effects and messages that need an operator.
    pub parked: u64,
    /// Those of them that may have been applied.
    pub parked_in_doubt: u64,
    /// Attempts after which it is not known whether they were applied.
    pub in_doubt: u64,
    /// Messages whose effect another attempt has.
    pub held: u64,
    /// Messages that were received and will come back.
    pub unacked: u64,
    /// How long the oldest due effect had waited when the run first looked, in seconds; none if it could not look.
    pub oldest_due_s: Option<u64>,
}

/// How long webhooks waited for their first call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// First calls.
    pub calls: u64,
    /// Half of them came within so many milliseconds.
    pub p50_ms: u64,
    /// 99 of 100 came within so many milliseconds.
    pub p99_ms: u64,
}

/// The load on one third party, and whether it is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DestinationState {
    /// Its host, with a port if the configuration names one.
    pub host: String,
    /// Calls in flight.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub in_flight: u64,
    /// The limit of calls in flight.
    pub limit: u64,
    /// Effects that wait in the process for a place. Deferred ones are on the agenda instead.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub waiting: u64,
    /// The circuit breaker.
    #[serde(default, skip_serializing_if = "Breaker::is_closed")]
    pub breaker: Breaker,
    /// Until when it has asked for a pause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_until: Option<Timestamp>,
}

/// A circuit breaker's state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Breaker {
    /// Calls are made.
    #[default]
    Closed,
    /// No call is made before `until`; then one probe decides.
    Open {
        /// Since when calls have failed.
        since: Timestamp,
        /// When it is probed at the earliest.
        until: Timestamp,
    },
    /// The probe is under way.
    Probing {
        /// Since when calls have failed.
        since: Timestamp,
    },
}

/// One broker's stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamState {
    /// The broker's name: its address without credentials.
    pub broker: String,
    /// Its state.
    #[serde(flatten)]
    pub stands: Stands,
}

/// The state of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Stands {
    /// It is read.
    Reading,
    /// It was read until the run ended.
    Drained,
    /// Another consumer reads it.
    Busy,
    /// The broker can't be read from.
    Unreachable {
        /// Since a run first found it so.
        since: Timestamp,
    },
    /// The stream lease was lost, or the table could not be asked for it.
    NoLease,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl End {
    /// As in logs and records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Drained => "drained",
            Self::Deadline => "deadline",
            Self::Busy => "busy",
            Self::Paused => "paused",
            Self::Failed => "failed",
        }
    }
}

impl Counts {
    /// Whether nothing was done at all.
    #[must_use]
    pub fn is_idle(self) -> bool {
        Self { oldest_due_s: None, ..self } == Self::default()
    }
}

impl Breaker {
    fn is_closed(&self) -> bool {
        *self == Self::Closed
    }
}

impl ConsumerRun {
    /// By time, and then by name.
    fn sort_key(&self) -> String {
        format!("{}#{}", sortable(self.began_at), self.id)
    }
}

/// Texts of one length, in the order of time.
fn sortable(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

impl Effects {
    /// Writes the record of a run, in place of the same run's earlier one. A late write replaces nothing newer.
    ///
    /// # Errors
    /// DynamoDB could not be asked.
    pub async fn leave_run(&self, run: &ConsumerRun) -> Result<(), StoreError> {
        let json = serde_json::to_string(run).map_err(|_| StoreError::Malformed(RUN))?;
        let item = Item::from([
            (attr::RUN_ID.into(), string(RUNS)),
            (attr::EFFECT_ID.into(), string(run.sort_key())),
            (attr::UPDATED_AT.into(), millis(run.written_at)),
            (attr::EXPIRES_AT.into(), seconds(run.written_at + KEPT)),
            (RUN.into(), string(json)),
        ]);
        let condition = Condition {
            expression: "attribute_not_exists(#updated_at) OR #updated_at < :this",
            names: &[attr::UPDATED_AT],
            values: vec![("this", millis(run.written_at))],
        };
        self.store.put(item, condition).await.map(drop)
    }

    /// The runs that began at `since` or later, the newest first, at most `limit` of them; and where the next page begins.
    ///
    /// # Errors
    /// DynamoDB could not be asked, or a record can't be read.
    pub async fn runs_since(
        &self,
        since: Timestamp,
        limit: i32,
        from: Option<Cursor>,
    ) -> Result<(Vec<ConsumerRun>, Option<Cursor>), StoreError> {
        let query = self.store.client.query().table_name(&self.store.table);
        let page = query
            .key_condition_expression("run_id = :run AND effect_id >= :since")
            .expression_attribute_values(":run", string(RUNS))
            .expression_attribute_values(":since", AttributeValue::S(sortable(since)))
            .scan_index_forward(false)
            .limit(limit)
            .set_exclusive_start_key(from.map(|Cursor(key)| key))
            .send()
            .await
            .map_err(|error| StoreError::unavailable("Query", &error))?;
        let runs = page.items().iter().map(read).collect::<Result<_, _>>()?;
        Ok((runs, page.last_evaluated_key.map(Cursor)))
    }
}

fn read(item: &Item) -> Result<ConsumerRun, StoreError> {
    let run = optional_text(item, RUN).ok_or(StoreError::Malformed(RUN))?;
    serde_json::from_str(&run).map_err(|_| StoreError::Malformed(RUN))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What five idle third parties and one broker come to.
    #[test]
    fn a_record_of_a_usual_size_is_one_write_unit() {
        let destination = |number: usize| DestinationState {
            host: format!("api-{number}.some-third-party.example.com"),
            in_flight: 0,
            limit: 64,
            waiting: 0,
            breaker: Breaker::Closed,
            paused_until: None,
        };
        let run = ConsumerRun {
            id: "0123456789ab".into(),
            began_at: Timestamp::UNIX_EPOCH,
            written_at: Timestamp::UNIX_EPOCH,
            outcome: Some(End::Drained),
            error: None,
            counts: Counts { received: 100, done: 99, oldest_due_s: Some(0), ..Counts::default() },
            events_dropped: 0,
            received_to_call: Some(Latency { calls: 100, p50_ms: 38, p99_ms: 210 }),
            destinations: (0..5).map(destination).collect(),
            streams: vec![StreamState { broker: "driftq.internal:8080".into(), stands: Stands::Drained }],
        };
        let json = serde_json::to_string(&run).unwrap();
        // The item has some 100 bytes more, and a unit is 1 KB.
        assert!(json.len() < 900, "{}", json.len());
        assert_eq!(serde_json::from_str::<ConsumerRun>(&json).unwrap(), run);
    }
}
