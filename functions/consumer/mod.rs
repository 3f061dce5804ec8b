//! The consumer: messages and what is due ▶ [ claim ▶ call ▶ commit ] ▶ ack in order.
//!
//! `run` every broker and the agenda side by side · `message` is it ours · `reader` one broker · `drain` one stream of it ·
//! `agenda` what is due · `work` one command to its end · `attempt` one try of it · `sequel` a step that comes after others · `doubt` what an earlier one left open ·
//! [`call`] the third party · [`row`] or an item of a table · `signature` proves to it that the call is ours · `look_up` whether it happened · `answer` what it
//! said · [`outcome`] what a call can come to · [`backoff`] when to try again · `destinations` what keeps one third party's
//! trouble from everything else · `turns` one at a time per effect.
//!
//! [`ack_order`] which acks may go · `proof` what the broker says about others · `acks` acks on their way.
//!
//! `report` what a command has come to · `meter` counts and metrics · `gauges` how much waits · [`summary`] what the run did ·
//! `spans` for who collects traces · `streams` where each broker's stream stands · `record` what the run leaves in the table · `events` for whoever follows a run ·
//! `decided` what operators ended ·
//! [`deadline`] how long there is · `reconcile` what providers are asked for beside all that.

pub mod ack_order;
mod acks;
mod agenda;
mod answer;
mod attempt;
pub mod backoff;
pub mod call;
pub mod deadline;
mod decided;
mod destinations;
mod doubt;
mod drain;
mod events;
mod gauges;
mod look_up;
mod message;
mod meter;
pub mod outcome;
mod proof;
mod reader;
mod reconcile;
mod record;
mod report;
pub mod row;
mod run;
mod sequel;
mod signature;
mod spans;
mod streams;
pub mod summary;
mod task;
mod turns;
mod work;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use call::Caller;
use deadline::Deadline;
use destinations::Destinations;
use drain::Reading;
use events::Events;
use gauges::LastLook;
use jiff::Timestamp;
use meter::Meter;
use proof::HOLD;
use reader::CREATE_TIMEOUT;
use reconcile::NextTurns;
use record::{LastRecord, Recorder};
use run::Run;
use streams::Streams;
use summary::{End, Summary};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use turns::Turns;
use uuid::Uuid;

use crate::{
    config::{
        Config,
        environment::{Environment, Signatures},
    },
    effects::{Effects, StoreError},
    telemetry::spans::{CONSUMER_PATIENCE, Spans},
    topic::Topic,
    topics::Topics,
};

/// The consumer function's configuration and clients, and what it remembers between invocations.
#[derive(Debug)]
pub struct Consumer {
    config: Arc<Config>,
    effects: Effects,
    caller: Caller,
    destinations: Destinations,
    last_look: Arc<LastLook>,
    last_record: LastRecord,
    next_turns: Arc<NextTurns>,
    streams: Streams,
    /// When the last run ended, by both clocks.
    last_end: Mutex<Option<(Instant, Timestamp)>>,
    readings: Vec<Reading>,
    idle_exit: Duration,
    events_topic: Option<Topic>,
    signatures: Signatures,
    spans: Spans,
    clock: fn() -> Timestamp,
}

/// What works on commands during one invocation.
#[derive(Debug)]
struct Worker {
    config: Arc<Config>,
    effects: Effects,
    caller: Caller,
    destinations: Destinations,
    deadline: Deadline,
    turns: Turns,
    /// Attempts that no message waits for.
    background: TaskTracker,
    events: Events,
    meter: Arc<Meter>,
    last_look: Arc<LastLook>,
    next_turns: Arc<NextTurns>,
    signatures: Signatures,
    spans: Spans,
    clock: fn() -> Timestamp,
}

/// An invocation could not do all of its work. What it had begun is finished, and nothing is lost.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A broker could not be read from.
    #[error("the topic could not be drained: {0}")]
    Broker(driftq_client::Error),
    /// The effects table could not be used.
    #[error("the effects table: {0}")]
    Table(#[from] StoreError),
    /// The stream lease was lost, so no more could be acked.
    #[error("another consumer has taken the stream, or the lease on it could not be renewed in time")]
    LeaseLost,
}

impl Consumer {
    /// Puts it together.
    #[must_use]
    pub fn new(
        config: Config,
        environment: &Environment,
        topics: &Topics,
        effects: Effects,
        caller: Caller,
        clock: fn() -> Timestamp,
    ) -> Self {
        let events_topic =
            environment.events_topic.clone().map(|name| Topic { name, ..topics.first().clone() });
        // As long as a message may stay with us: until it is handed over, or until the first acks are sent.
        let lease = (config.consumer.slow_call * 4 + config.consumer.settle).max(HOLD + CREATE_TIMEOUT);
        let all = topics.accepting().chain(topics.draining());
        let reading =
            |topic: &Topic| Reading { topic: topic.clone(), group: environment.group.clone(), lease };
        Self {
            effects,
            caller,
            destinations: Destinations::new(&config),
            last_look: Arc::default(),
            last_record: LastRecord::default(),
            next_turns: Arc::default(),
            streams: Streams::default(),
            last_end: Mutex::default(),
            readings: all.map(reading).collect(),
            idle_exit: environment.idle_exit,
            events_topic,
            signatures: environment.command_signatures,
            spans: Spans::default(),
            clock,
            config: Arc::new(config),
        }
    }

    /// The same, with its spans sent there.
    #[must_use]
    pub fn with_spans(self, spans: Spans) -> Self {
        Self { spans, ..self }
    }

    /// One invocation.
    ///
    /// # Errors
    /// See [`RunError`].
    pub async fn run(&self, deadline_ms: u64) -> Result<Summary, RunError> {
        let start = Instant::now();
        let deadline = Deadline::from_context(deadline_ms, (self.clock)());
        self.thaw();
        self.caller.renew_secrets((self.clock)()).await;
        let (events, sending) = Events::start(self.events_topic.clone(), &self.effects);
        let worker = Arc::new(self.worker(deadline, events));
        let meter = Arc::clone(&worker.meter);
        let recorder = self.recorder(&meter, deadline);
        let (readings, streams) = (&self.readings, &self.streams);
        let run = Run { worker: &worker, readings, streams, idle_exit: self.idle_exit };
        let spans = self.spans.begin();
        let outcome = recorder.while_running(run.run()).await;
        spans.end(deadline.half(CONSUMER_PATIENCE)).await;
        // The events end when the last of their senders is dropped.
        drop(worker);
        let events_dropped = sending.finish().await;
        let summary = Summary {
            outcome: *outcome.as_ref().unwrap_or(&End::Failed),
            counts: meter.counts(),
            events_dropped,
            ms: u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        self.spans.export(deadline.half(CONSUMER_PATIENCE)).await;
        meter.print(&self.destinations);
        summary.tell(outcome.as_ref().err());
        recorder.end(&summary, outcome.as_ref().err()).await;
        *self.last_end() = Some((Instant::now(), (self.clock)()));
        outcome.map(|_| summary)
    }

    /// Between invocations a function is frozen, and the monotonic clock may stand still meanwhile.
    fn thaw(&self) {
        let Some((shown, real)) = *self.last_end() else { return };
        let real = Duration::try_from((self.clock)().duration_since(real)).unwrap_or_default();
        self.destinations.advance(real.saturating_sub(shown.elapsed()));
    }

    fn last_end(&self) -> MutexGuard<'_, Option<(Instant, Timestamp)>> {
        self.last_end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn recorder(&self, meter: &Arc<Meter>, deadline: Deadline) -> Recorder<'_> {
        Recorder {
            effects: &self.effects,
            destinations: &self.destinations,
            streams: &self.streams,
            last: &self.last_record,
            meter: Arc::clone(meter),
            deadline,
            id: Uuid::new_v4(),
            began_at: (self.clock)(),
            clock: self.clock,
        }
    }

    fn worker(&self, deadline: Deadline, events: Events) -> Worker {
        Worker {
            config: Arc::clone(&self.config),
            effects: self.effects.clone(),
            caller: self.caller.clone(),
            destinations: self.destinations.clone(),
            deadline,
            turns: Turns::default(),
            background: TaskTracker::new(),
            events,
            meter: Arc::default(),
            last_look: Arc::clone(&self.last_look),
            next_turns: Arc::clone(&self.next_turns),
            signatures: self.signatures,
            spans: self.spans.clone(),
            clock: self.clock,
        }
    }
}

impl Worker {
    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Waits for every attempt that goes on in the background.
    async fn finish(&self) {
        self.background.close();
        self.background.wait().await;
        self.background.reopen();
    }
}
