//! Consumer runs: what each run did, for operators. One small record per run, by time, under a run id of its own. It is not an effect, is
//! in no index, and no function reads it. It expires after two days.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    attributes::{Item, attr, millis, optional_text, seconds, string},
    error::StoreError,
    expression::Condition,
    queries::Cursor,
    store::Store,
};

/// The run id of these records. No webhook's run has it: run ids hold no `:`.
const RUNS: &str = ":runs";
const RUN: &str = "run";
/// How long they are kept. DynamoDB removes them within some days after that.
const KEPT: SignedDuration = SignedDuration::from_hours(48);

/// One run of the consumer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsumerRun {
    /// A unique name of this run.
    pub id: String,
    /// When the run began.
    pub began_at: Timestamp,
    /// When this record was written. If the run has not ended and this is some minutes old, the run has died.
    pub written_at: Timestamp,
    /// How the run ended; none while it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<End>,
    /// The cause, if the run failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What it has done so far.
    pub counts: Counts,
    /// Number of events that could not be published to the events topic.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub events_dropped: u64,
    /// Time from webhook to first call, if a first call was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_to_call: Option<Latency>,
    /// Each third party of the configuration, by host.
    pub destinations: Vec<DestinationState>,
    /// Each broker's stream.
    pub streams: Vec<StreamState>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Nothing was left to do.
    Drained,
    /// The invocation's time was used up; the next run does the rest.
    Deadline,
    /// Other consumers read all brokers, and nothing was left on the agenda.
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
    /// Effects skipped because their condition did not hold.
    pub skipped: u64,
    /// Effects deferred to a later attempt.
    pub deferred: u64,
    /// Messages moved to the agenda before any claim.
    pub enqueued: u64,
    /// Effects and messages that need an operator.
    pub parked: u64,
    /// Parked effects that are in doubt.
    pub parked_in_doubt: u64,
    /// Attempts whose outcome is unknown.
    pub in_doubt: u64,
    /// Messages whose effect another attempt has claimed.
    pub held: u64,
    /// Messages received and not acked: they will be redelivered.
    pub unacked: u64,
    /// How long the oldest due effect had waited when the run first looked, in seconds; none if it could not look.
    pub oldest_due_s: Option<u64>,
}

/// How long webhooks waited for their first call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// First calls.
    pub calls: u64,
    /// Median, in milliseconds.
    pub p50_ms: u64,
    /// 99th percentile, in milliseconds.
    pub p99_ms: u64,
}

/// The state of one destination: its load and its circuit breaker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DestinationState {
    /// Its host, with a port if the configuration names one.
    pub host: String,
    /// Calls in flight.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub in_flight: u64,
    /// The limit of calls in flight.
    pub limit: u64,
    /// Effects that wait in the process for a call slot. Deferred effects are on the agenda instead.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub waiting: u64,
    /// The circuit breaker.
    #[serde(default, skip_serializing_if = "Breaker::is_closed")]
    pub breaker: Breaker,
    /// When the pause ends that the third party has asked for, by `Retry-After`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_until: Option<Timestamp>,
}

/// A circuit breaker's state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Breaker {
    /// Closed: calls are made.
    #[default]
    Closed,
    /// Open: no call is made before `until`; then one probe decides.
    Open {
        /// Since when calls have failed.
        since: Timestamp,
        /// The earliest time of the next probe.
        until: Timestamp,
    },
    /// Half-open: the probe is in progress.
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
    /// It is being read.
    Reading,
    /// It was read until the run ended.
    Drained,
    /// Another consumer reads it.
    Busy,
    /// The broker can't be reached for reading.
    Unreachable {
        /// When a run first found it unreachable.
        since: Timestamp,
    },
    /// The stream lease was lost, or could not be taken because the table did not answer.
    NoLease,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl End {
    /// The name used in logs and records.
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
    /// Whether the run did nothing at all.
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
    /// The sort key: by time, then by run id.
    fn sort_key(&self) -> String {
        format!("{}#{}", sortable(self.began_at), self.id)
    }
}

/// A timestamp as text of fixed length, which sorts by time.
fn sortable(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// Writes and reads what each run of the consumer did.
#[derive(Debug, Clone)]
pub struct RunLog {
    pub(super) store: Store,
}

impl RunLog {
    /// Writes the record of a run, and replaces the run's earlier one. A late write replaces nothing newer.
    ///
    /// # Errors
    /// DynamoDB could not be asked.
    pub async fn write(&self, run: &ConsumerRun) -> Result<(), StoreError> {
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
    pub async fn since(
        &self,
        since: Timestamp,
        limit: i32,
        from: Option<Cursor>,
    ) -> Result<(Vec<ConsumerRun>, Option<Cursor>), StoreError> {
        let query = self.store.client.query().table_name(&*self.store.table);
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

    /// The size of a record with five idle destinations and one broker.
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
        // The item has about 100 bytes more, and a write unit is 1 KB.
        assert!(json.len() < 900, "{}", json.len());
        assert_eq!(serde_json::from_str::<ConsumerRun>(&json).unwrap(), run);
    }
}
