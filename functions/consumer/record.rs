//! What a run leaves in the table: a record at its end, and about once a minute while it goes on. Wake-ups make many short
//! runs, so one that did nothing and has nothing new to say writes nothing, within a minute of this process's last record.

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
use crate::effects::{
    Effects,
    runs::{ConsumerRun, DestinationState},
};

/// A run that is over sooner leaves one record, at its end.
const FIRST_AFTER: Duration = Duration::from_secs(5);
const EVERY: Duration = Duration::from_secs(60);
/// Less than a minute, so that each run of the schedule leaves a record.
const QUIET_FOR: Duration = Duration::from_secs(45);
/// A table that does not answer delays the end of a run by no more than this.
const PATIENCE: Duration = Duration::from_secs(1);

/// Characters of an error that are kept. The log has all of it.
const LONGEST_ERROR: usize = 300;

/// What this process has last left.
#[derive(Debug, Default)]
pub(super) struct LastRecord(Mutex<Option<ConsumerRun>>);

impl LastRecord {
    fn lock(&self) -> MutexGuard<'_, Option<ConsumerRun>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leaves the records of one run.
#[derive(Debug)]
pub(super) struct Recorder<'a> {
    pub(super) effects: &'a Effects,
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
    /// Runs, and leaves a record about once a minute meanwhile.
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

    /// How long until the next record of a run that goes on.
    fn next_in(&self) -> Duration {
        let (now, first) = ((self.clock)(), self.began_at + FIRST_AFTER);
        let next = self.last.lock().as_ref().map(|last| last.written_at + EVERY);
        Duration::try_from(next.map_or(first, |next| next.max(first)).duration_since(now)).unwrap_or_default()
    }

    /// Leaves the record of the end.
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

    /// Whether a run did nothing, and has found everything as this process's last record says.
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

    /// Nothing depends on it: a run does not fail for it.
    async fn leave(&self, record: ConsumerRun) {
        let left = timeout(self.deadline.half(PATIENCE), self.effects.leave_run(&record)).await;
        let error = match left {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("DynamoDB does not answer".to_owned()),
        };
        if let Some(error) = error {
            tracing::warn!(error, "the run's record was not written; only the console misses it");
        }
        // What could not be written is not tried again at once either.
        *self.last.lock() = Some(record);
    }
}

/// But for times, which are a little different each time that they are read.
fn are_alike(last: &DestinationState, this: &DestinationState) -> bool {
    let breaker = |state: &DestinationState| std::mem::discriminant(&state.breaker);
    last.host == this.host
        && breaker(last) == breaker(this)
        && last.paused_until.is_some() == this.paused_until.is_some()
}

/// A time at the table's precision.
fn whole_ms(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}
