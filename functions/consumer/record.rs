//! The record of a run: written at its end, and about once a minute while it goes on. Wake-ups cause many short runs, so a run that did
//! nothing and has nothing new to report writes nothing, within a minute of this process's last record.

use std::{
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::{
    RunError, deadline::Deadline, destinations::Destinations, meter::Meter, streams::Streams,
    summary::Summary,
};
use crate::effects::runs::{ConsumerRun, DestinationState, RunLog};

/// A run that ends sooner writes only one record, at its end.
const FIRST_AFTER: Duration = Duration::from_secs(5);
const EVERY: Duration = Duration::from_secs(60);
/// How long an unchanged state is not written. Less than a minute, so that each scheduled run writes a record.
const QUIET_FOR: Duration = Duration::from_secs(45);
/// Time limit of a write: the end of a run is not delayed any longer by a table that does not respond.
const PATIENCE: Duration = Duration::from_secs(1);

/// Characters of an error that are kept. The log has the whole text.
const LONGEST_ERROR: usize = 300;

/// The last record of this process.
#[derive(Debug, Default)]
pub(super) struct LastRecord(Mutex<Option<ConsumerRun>>);

impl LastRecord {
    fn lock(&self) -> MutexGuard<'_, Option<ConsumerRun>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes the records of one run.
#[derive(Debug)]
pub(super) struct Recorder<'a> {
    pub(super) log: RunLog,
    pub(super) destinations: &'a Destinations,
    pub(super) streams: &'a Streams,
    pub(super) last: &'a LastRecord,
    pub(super) meter: Arc<Meter>,
    pub(super) deadline: Deadline,
    pub(super) id: Uuid,
    pub(super) began_at: Timestamp,
    pub(super) clock: fn() -> Timestamp,
}

impl Recorder<'_> {
    /// Runs, and writes a record about once a minute meanwhile.
    pub(super) async fn while_running<T>(&self, run: impl Future<Output = T>) -> T {
        let mut run = pin!(run);
        loop {
            let record = async {
                sleep(self.next_in()).await;
                self.leave(self.record()).await;
            };
            tokio::select! {
                done = &mut run => return done,
                () = record => {}
            }
        }
    }

    /// How long until the next record of the present run.
    fn next_in(&self) -> Duration {
        let (now, first) = ((self.clock)(), self.began_at + FIRST_AFTER);
        let next = self.last.lock().as_ref().map(|last| last.written_at + EVERY);
        Duration::try_from(next.map_or(first, |next| next.max(first)).duration_since(now)).unwrap_or_default()
    }

    /// Writes the last record.
    pub(super) async fn end(&self, summary: &Summary, error: Option<&RunError>) {
        let record = ConsumerRun {
            outcome: Some(summary.outcome),
            error: error.map(|error| error.to_string().chars().take(LONGEST_ERROR).collect()),
            counts: summary.counts,
            events_dropped: summary.events_dropped,
            ..self.record()
        };
        if !self.is_known(&record) {
            self.leave(record).await;
        }
    }

    /// Whether a run did nothing, and found everything as in this process's last record.
    fn is_known(&self, record: &ConsumerRun) -> bool {
        let last = self.last.lock();
        let Some(last) = last.as_ref().filter(|last| last.outcome == record.outcome) else { return false };
        let age = Duration::try_from(record.written_at.duration_since(last.written_at)).unwrap_or_default();
        record.counts.is_idle()
            && record.events_dropped == 0
            && age < QUIET_FOR
            && last.streams == record.streams
            && last.destinations.len() == record.destinations.len()
            && last.destinations.iter().zip(&record.destinations).all(|(last, this)| are_alike(last, this))
    }

    fn record(&self) -> ConsumerRun {
        let now = whole_ms((self.clock)());
        ConsumerRun {
            id: self.id.simple().to_string(),
            began_at: whole_ms(self.began_at),
            written_at: now,
            outcome: None,
            error: None,
            counts: self.meter.counts(),
            events_dropped: 0,
            received_to_call: self.meter.received_to_call(),
            destinations: self.destinations.states(now),
            streams: self.streams.states(),
        }
    }

    /// Writes a record. A run does not fail if this fails.
    async fn leave(&self, record: ConsumerRun) {
        let left = timeout(self.deadline.half(PATIENCE), self.log.write(&record)).await;
        let error = match left {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("DynamoDB does not answer".to_owned()),
        };
        if let Some(error) = error {
            tracing::warn!(error, "the run's record was not written; only the console misses it");
        }
        // A failed write is not repeated at once either.
        *self.last.lock() = Some(record);
    }
}

/// Whether two states are equal except for times, which differ a little at each reading.
fn are_alike(last: &DestinationState, this: &DestinationState) -> bool {
    let breaker = |state: &DestinationState| std::mem::discriminant(&state.breaker);
    last.host == this.host
        && breaker(last) == breaker(this)
        && last.paused_until.is_some() == this.paused_until.is_some()
}

/// A time with the table's precision.
fn whole_ms(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}
