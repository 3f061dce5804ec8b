//! The events topic, for programs that follow runs. Best effort: a full, missing or unreachable topic never delays or fails an effect, and
//! dropped events are counted. (A topic without readers fills up and then refuses everything.)

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use serde::Serialize;
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};

use crate::{
    command::Command,
    effect_id::EffectId,
    effects::{listing::Listing, record::Status},
    topic::Topic,
};

/// Capacity of the send queue. When it is full, events are dropped.
const QUEUE: usize = 1024;
const PRODUCE_TIMEOUT: Duration = Duration::from_secs(2);
/// Time limit for sending the last events of an invocation.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// The kind of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum Kind {
    #[serde(rename = "step.started")]
    Started,
    #[serde(rename = "side_effect.done")]
    Done,
    #[serde(rename = "side_effect.skipped")]
    Skipped,
    /// Ended by an operator's decision.
    #[serde(rename = "side_effect.discarded")]
    Discarded,
    #[serde(rename = "step.skipped")]
    NotWanted,
    #[serde(rename = "retry.scheduled")]
    Deferred,
    #[serde(rename = "run.completed")]
    Completed,
    #[serde(rename = "run.dlq")]
    Parked,
}

#[derive(Debug, Serialize)]
struct Event {
    kind: Kind,
    run_id: String,
    effect_id: String,
    step: String,
    attempt: u32,
    at: Timestamp,
    /// How many effects the run has.
    #[serde(skip)]
    of: u32,
}

/// The sender's handle. It never waits.
#[derive(Debug, Clone, Default)]
pub(super) struct Events {
    queue: Option<mpsc::Sender<Event>>,
    told: Arc<AtomicU64>,
}

/// The background task that sends the events of one invocation.
#[derive(Debug, Default)]
pub(super) struct Sending {
    task: Option<JoinHandle<()>>,
    told: Arc<AtomicU64>,
    sent: Arc<AtomicU64>,
}

impl Events {
    /// Starts sending, if there is an events topic.
    pub(super) fn start(topic: Option<Topic>, listing: Listing) -> (Self, Sending) {
        let Some(topic) = topic else { return Default::default() };
        let (queue, events) = mpsc::channel(QUEUE);
        let (told, sent) = (Arc::new(AtomicU64::new(0)), Arc::default());
        let sender = Sender { topic, listing, told: Arc::clone(&told), sent: Arc::clone(&sent) };
        let task = Some(tokio::spawn(sender.run(events)));
        (Self { queue: Some(queue), told: Arc::clone(&told) }, Sending { task, told, sent })
    }

    /// Whether there is an events topic.
    pub(super) fn are_wanted(&self) -> bool {
        self.queue.is_some()
    }

    /// Queues an event. If the queue is full, the event is dropped.
    pub(super) fn tell(&self, kind: Kind, command: &Command, effect: &EffectId, attempt: u32) {
        self.tell_of(kind, command.of, effect, attempt);
    }

    /// Like `tell`, for an effect of which only the record is left; `of` is how many effects its run has.
    pub(super) fn tell_of(&self, kind: Kind, of: u32, effect: &EffectId, attempt: u32) {
        let Some(queue) = &self.queue else { return };
        self.told.fetch_add(1, Ordering::Relaxed);
        let event = Event {
            kind,
            run_id: effect.run_id().to_string(),
            effect_id: effect.to_string(),
            step: effect.step_id().to_string(),
            attempt,
            at: Timestamp::now(),
            of,
        };
        drop(queue.try_send(event));
    }
}

impl Sending {
    /// Sends the remaining events, within two seconds, and returns how many were dropped in all. Every [`Events`] must be dropped before.
    pub(super) async fn finish(self) -> u64 {
        if let Some(mut task) = self.task
            && timeout(FLUSH_TIMEOUT, &mut task).await.is_err()
        {
            task.abort();
        }
        self.told.load(Ordering::Relaxed).saturating_sub(self.sent.load(Ordering::Relaxed))
    }
}

struct Sender {
    topic: Topic,
    listing: Listing,
    told: Arc<AtomicU64>,
    sent: Arc<AtomicU64>,
}

impl Sender {
    async fn run(self, mut events: mpsc::Receiver<Event>) {
        while let Some(event) = events.recv().await {
            let ends = matches!(event.kind, Kind::Done | Kind::NotWanted | Kind::Discarded);
            let completed = ends && self.is_last(&event).await;
            self.send(&event).await;
            if completed {
                self.told.fetch_add(1, Ordering::Relaxed);
                self.send(&Event { kind: Kind::Completed, ..event }).await;
            }
        }
    }

    /// Whether this event ends its run. A run with several effects is complete when the last of them is done,
    /// skipped or discarded; to find out takes one more read, and only for such runs. If several attempts
    /// check at the same time, each may find that all effects have ended, so only the one that ended last
    /// publishes the completion.
    async fn is_last(&self, event: &Event) -> bool {
        if event.of <= 1 {
            return true;
        }
        let records = self.listing.run(&event.run_id).await.unwrap_or_default();
        let over = || records.iter().filter(|record| record.status.is_over());
        // An effect skipped together with its predecessor has no attempt and publishes nothing.
        let tells = over().filter(|record| record.status != Status::Skipped || record.attempt > 0);
        let last = tells.max_by_key(|record| (record.updated_at, &record.effect_id));
        over().count() >= event.of as usize && last.is_some_and(|last| last.effect_id == event.effect_id)
    }

    async fn send(&self, event: &Event) {
        let Ok(value) = serde_json::to_string(event) else { return };
        let (run, step) = (&event.run_id, &event.step);
        if self.topic.publish(run, &value, run, step, PRODUCE_TIMEOUT).await.is_ok() {
            self.sent.fetch_add(1, Ordering::Relaxed);
        }
    }
}
