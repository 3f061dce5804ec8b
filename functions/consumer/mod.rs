//! The consumer: messages and due records ▶ [ claim ▶ call ▶ commit ] ▶ ack in order.
//!
//! | module | what |
//! |---|---|
//! | `run` | all brokers and the agenda side by side, until nothing is left or time is up |
//! | `reader`, `drain` | one broker; one stream of it |
//! | `message`, `task` | parses and verifies a message; a command with what is needed to work on it |
//! | `agenda` | due records |
//! | `work` | one command, from its claim until it is settled |
//! | `attempt` | one attempt: resolve a doubt, call, record the outcome |
//! | `doubt`, `look_up` | the policies for effects in doubt |
//! | [`call`], `signature`, `answer` | the request to the third party, its signature, its answer |
//! | [`row`] | a step that writes an item of a table instead |
//! | `sequel` | a step that comes after others |
//! | [`outcome`](crate::outcome), [`backoff`] | the outcome of a call; when to try again |
//! | `destinations` | limits, circuit breaker and pauses of each third party |
//! | `turns` | one task at a time per effect in this process |
//! | [`ack_order`], `proof`, `acks` | which messages may be acked, why, and the acks under way |
//!
//! Reporting: `report` reports how a command ended · `meter` has counts and metrics · `gauges` counts what waits ·
//! [`summary`] sums up one run · `spans` traces commands · `streams` has the state of each broker's stream ·
//! `record` writes the record of a run · `events` publishes to the events topic · `decided` publishes events
//! about decisions.
//!
//! Also: [`deadline`] has the time that is left · `reconcile` recovers missing events from providers.

pub mod ack_order;
mod acks;
mod activity;
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
mod ending;
mod events;
mod gauges;
mod look_up;
mod message;
mod meter;
mod plan;
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
mod verdict;
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
use message::Prepared;
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
    effects::{
        StoreError, Table, agenda::Agenda, claim_check::LargeInputs, decided::Unpublished, guard::Guard,
        listing::Listing, reconciliation::Reconciliation, stream_lease::StreamLeases,
    },
    telemetry::spans::{CONSUMER_PATIENCE, Spans},
    topic::Topic,
    topics::Topics,
};

/// The consumer function's configuration, clients, and state between invocations.
#[derive(Debug)]
pub struct Consumer {
    config: Arc<Config>,
    table: Table,
    caller: Caller,
    destinations: Destinations,
    last_look: Arc<LastLook>,
    last_record: LastRecord,
    next_turns: Arc<NextTurns>,
    streams: Streams,
    /// When the last run ended, by the monotonic and the wall clock.
    last_end: Mutex<Option<(Instant, Timestamp)>>,
    readings: Vec<Reading>,
    idle_exit: Duration,
    events_topic: Option<Topic>,
    signatures: Signatures,
    keys: Arc<Prepared>,
    spans: Spans,
    clock: fn() -> Timestamp,
}

/// Works on commands during one invocation.
#[derive(Debug)]
struct Worker {
    config: Arc<Config>,
    guard: Guard,
    agenda: Agenda,
    large_inputs: LargeInputs,
    stream_leases: StreamLeases,
    reconciliation: Reconciliation,
    unpublished: Unpublished,
    listing: Listing,
    caller: Caller,
    destinations: Destinations,
    deadline: Deadline,
    turns: Turns,
    /// Attempts that continue after their message was settled.
    background: TaskTracker,
    events: Events,
    meter: Arc<Meter>,
    last_look: Arc<LastLook>,
    next_turns: Arc<NextTurns>,
    signatures: Signatures,
    keys: Arc<Prepared>,
    spans: Spans,
    clock: fn() -> Timestamp,
}

/// An invocation could not do all of its work. Started work is finished, and nothing is lost.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A broker could not be read.
    #[error("the topic could not be drained: {0}")]
    Broker(driftq_client::Error),
    /// The effects table could not be used.
    #[error("the effects table: {0}")]
    Table(#[from] StoreError),
    /// The stream lease was lost, so nothing more could be acked.
    #[error("another consumer has taken the stream, or the lease on it could not be renewed in time")]
    LeaseLost,
}

impl Consumer {
    /// Creates the consumer.
    #[must_use]
    pub fn new(
        config: Config,
        environment: &Environment,
        topics: &Topics,
        table: Table,
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
            table,
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
            keys: Arc::default(),
            spans: Spans::default(),
            clock,
            config: Arc::new(config),
        }
    }

    /// Adds an exporter of spans.
    #[must_use]
    pub fn with_spans(self, spans: Spans) -> Self {
        Self { spans, ..self }
    }

    /// Runs one invocation.
    ///
    /// # Errors
    /// See [`RunError`].
    pub async fn run(&self, deadline_ms: u64) -> Result<Summary, RunError> {
        let start = Instant::now();
        let deadline = Deadline::from_context(deadline_ms, (self.clock)());
        self.thaw();
        self.caller.renew_secrets((self.clock)()).await;
        let (events, sending) = Events::start(self.events_topic.clone(), self.table.listing());
        let worker = Arc::new(self.worker(deadline, events));
        let meter = Arc::clone(&worker.meter);
        let recorder = self.recorder(&meter, deadline);
        let (readings, streams) = (&self.readings, &self.streams);
        let pauses = self.table.pauses();
        let run = Run { pauses: &pauses, worker: &worker, readings, streams, idle_exit: self.idle_exit };
        let spans = self.spans.begin();
        let outcome = recorder.while_running(run.run()).await;
        spans.end(deadline.half(CONSUMER_PATIENCE)).await;
        // Sending events ends when the last of their senders is dropped.
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

    /// Accounts for the time since the last run: a function is frozen between invocations, and the monotonic clock may stop.
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
            log: self.table.run_log(),
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
            guard: self.table.guard(),
            agenda: self.table.agenda(),
            large_inputs: self.table.large_inputs(),
            stream_leases: self.table.stream_leases(),
            reconciliation: self.table.reconciliation(),
            unpublished: self.table.unpublished(),
            listing: self.table.listing(),
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
            keys: Arc::clone(&self.keys),
            spans: self.spans.clone(),
            clock: self.clock,
        }
    }
}

impl Worker {
    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Waits for all attempts in the background.
    async fn finish(&self) {
        self.background.close();
        self.background.wait().await;
        self.background.reopen();
    }
}
