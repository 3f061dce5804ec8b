//! The consumer: relay due ▶ drain ▶ [ claim ▶ call ▶ commit ] ▶ ack in order.
//!
//! `relay` publishes what is due · `published` what of it is not settled yet · `drain` one stream ·
//! [`ack_order`] which acks may go · [`step`] one message, to its end · `task` what it asks for · `attempt` one try of it ·
//! [`call`] the third party · `look_up` whether it happened · `answer` what it said · [`outcome`] what a call can come to ·
//! [`backoff`] when to try again · `turns` one at a time for each effect · [`summary`] what came of it ·
//! `meter` what is measured on the way · `events` for whoever follows a run · [`deadline`] how long there is.

pub mod ack_order;
mod answer;
mod attempt;
pub mod backoff;
pub mod call;
pub mod deadline;
mod drain;
mod events;
mod look_up;
mod meter;
pub mod outcome;
mod published;
mod relay;
pub mod step;
pub mod summary;
mod task;
mod turns;

use std::{pin::pin, sync::Arc, time::Duration};

use call::Caller;
use deadline::Deadline;
use drain::{Drain, Ended, HOLD};
use events::Events;
use jiff::Timestamp;
use meter::Meter;
use published::Published;
use relay::{Relay, Relayed};
use summary::{End, Summary};
use tokio::time::{Instant, sleep, timeout};
use turns::Turns;
use uuid::Uuid;

use crate::{
    broker,
    config::{Config, environment::Environment},
    effects::{Effects, StoreError, stream_lease::StreamLease},
    topic::Topic,
    topics::Topics,
};

/// How often a broken stream is opened again within one invocation.
const STREAMS: u32 = 5;
const CREATE_TIMEOUT: Duration = Duration::from_secs(2);

/// All that the consumer needs, made once.
#[derive(Debug)]
pub struct Consumer {
    config: Arc<Config>,
    effects: Effects,
    caller: Caller,
    reading: Reading,
    events_topic: Option<Topic>,
    clock: fn() -> Timestamp,
}

/// What is drained, and how.
#[derive(Debug, Clone)]
struct Reading {
    topic: Topic,
    group: String,
    /// How long the broker leaves a message with us.
    lease: Duration,
    idle_exit: Duration,
    settle: Duration,
}

/// What works on messages during one invocation.
#[derive(Debug)]
struct Worker {
    config: Arc<Config>,
    effects: Effects,
    caller: Caller,
    turns: Turns,
    published: Published,
    events: Events,
    meter: Arc<Meter>,
    clock: fn() -> Timestamp,
}

/// An invocation could not do its work. What it had begun is finished, and nothing is lost.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The broker could not be read from.
    #[error("the topic could not be drained: {0}")]
    Broker(broker::Error),
    /// The effects table could not be used.
    #[error("the effects table: {0}")]
    Table(#[from] StoreError),
    /// The stream lease was lost, so no more could be acked.
    #[error("another consumer has taken the stream, or the lease on it could not be renewed in time")]
    Ousted,
}

impl Consumer {
    /// Puts it together.
    #[must_use]
    pub fn new(
        config: Config,
        environment: &Environment,
        topics: Topics,
        effects: Effects,
        caller: Caller,
        clock: fn() -> Timestamp,
    ) -> Self {
        let topic = topics.first().clone();
        let events_topic = environment.events_topic.clone().map(|name| Topic { name, ..topic.clone() });
        let reading = Reading {
            topic,
            group: environment.group.clone(),
            // Not shorter than the hold of the first acks, or all that is held would be delivered again.
            lease: (config.slowest_attempt() + config.consumer.settle).max(HOLD + CREATE_TIMEOUT),
            idle_exit: environment.idle_exit,
            settle: config.consumer.settle,
        };
        Self { config: Arc::new(config), effects, caller, reading, events_topic, clock }
    }

    /// One invocation.
    ///
    /// # Errors
    /// See [`RunError`].
    pub async fn run(&self, deadline_ms: u64) -> Result<Summary, RunError> {
        let start = Instant::now();
        let deadline = Deadline::from_context(deadline_ms, (self.clock)());
        self.warn_of_short_time(deadline);
        self.caller.renew_secrets((self.clock)()).await;
        let (mut summary, meter) = (Summary::default(), Arc::default());
        let outcome = self.run_alone(deadline, &mut summary, &meter).await;
        let measured = meter.read();
        summary.in_doubt = measured.in_doubt;
        summary.parked_in_doubt = measured.parked_in_doubt;
        summary.ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        summary.outcome = *outcome.as_ref().unwrap_or(&End::Failed);
        summary.log(outcome.as_ref().err());
        summary.print(measured, outcome.as_ref().err());
        outcome.map(|_| summary)
    }

    async fn run_alone(
        &self,
        deadline: Deadline,
        summary: &mut Summary,
        meter: &Arc<Meter>,
    ) -> Result<End, RunError> {
        let Some(lease) = self.take_stream(deadline).await? else { return Ok(End::Busy) };
        let outcome = self.run_with(&lease, deadline, summary, meter).await;
        if let Err(error) = self.effects.release_stream(lease).await {
            tracing::warn!(%error, "the stream lease was not released; it ends by itself");
        }
        outcome
    }

    async fn run_with(
        &self,
        lease: &StreamLease,
        deadline: Deadline,
        summary: &mut Summary,
        meter: &Arc<Meter>,
    ) -> Result<End, RunError> {
        let relay = Relay {
            topic: self.reading.topic.clone(),
            effects: self.effects.clone(),
            published: Published::default(),
            grace: self.config.consumer.relay_grace,
            settle: self.reading.settle,
            clock: self.clock,
        };
        let (events, sending) = Events::start(self.events_topic.clone(), &self.effects);
        let worker = Arc::new(Worker {
            config: Arc::clone(&self.config),
            effects: self.effects.clone(),
            caller: self.caller.clone(),
            turns: Turns::default(),
            published: relay.published.clone(),
            events,
            meter: Arc::clone(meter),
            clock: self.clock,
        });
        let mut ousting = pin!(self.keep(lease));
        let outcome = tokio::select! {
            Relayed { count, oldest_due } = relay.run(deadline) => {
                summary.relayed = count;
                summary.oldest_due_s = oldest_due.map(|age| age.as_secs());
                self.drain(&worker, deadline, summary, ousting).await
            }
            () = &mut ousting => Err(RunError::Ousted),
        };
        drop(worker);
        // The stream lease is not renewed any more. Should it end, and another relay publish the same, only one puts it off.
        let ((), events_dropped) = tokio::join!(relay.put_off(deadline), sending.finish());
        summary.events_dropped = events_dropped;
        outcome
    }

    /// Drains stream after stream until there is nothing left, or no time.
    async fn drain(
        &self,
        worker: &Arc<Worker>,
        deadline: Deadline,
        summary: &mut Summary,
        mut ousting: drain::Ousting<'_>,
    ) -> Result<End, RunError> {
        let mut broken = 0;
        loop {
            let drain = Drain::open(worker, &self.reading, deadline, summary);
            let error = match drain.run(ousting.as_mut()).await {
                Ended::Idle => return Ok(End::Drained),
                Ended::Deadline => return Ok(End::Deadline),
                Ended::Ousted => return Err(RunError::Ousted),
                Ended::Broken(error) => error,
            };
            broken += 1;
            let pause = Duration::from_millis(200) * broken;
            if broken == STREAMS || !deadline.leaves(pause + self.reading.settle) {
                return Err(RunError::Broker(error));
            }
            if error.is_topic_missing() {
                tracing::info!("the topic does not exist, never or no longer; making it");
                self.reading.topic.create(CREATE_TIMEOUT).await.map_err(RunError::Broker)?;
            } else {
                tracing::warn!(%error, "the stream broke; opening another");
                // The stream lease is renewed meanwhile.
                tokio::select! {
                    () = sleep(pause) => {}
                    () = &mut ousting => return Err(RunError::Ousted),
                }
            }
        }
    }

    /// Takes the stream lease. A dead consumer's runs out while we wait; a live one's is renewed, and we leave.
    async fn take_stream(&self, deadline: Deadline) -> Result<Option<StreamLease>, StoreError> {
        let (topic, group) = (&self.reading.topic.name, &self.reading.group);
        let length = self.config.consumer.stream_lease;
        let owner = Uuid::new_v4().to_string();
        let take = || self.effects.take_stream(topic, group, &owner, length, (self.clock)());
        let until = match take().await? {
            Ok(lease) => return Ok(Some(lease)),
            Err(until) => until,
        };
        let wait = Duration::try_from(until.duration_since((self.clock)())).unwrap_or_default();
        let wait = wait.min(length) + Duration::from_millis(10);
        if !deadline.leaves(wait + self.reading.lease) {
            return Ok(None);
        }
        tracing::info!(
            wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            "another consumer has the stream; waiting for its lease to end"
        );
        sleep(wait).await;
        Ok(take().await?.ok())
    }

    /// Renews the lease until it is lost: to another consumer, or because it can't be renewed before it ends.
    async fn keep(&self, lease: &StreamLease) {
        let mut renewed = Instant::now();
        loop {
            sleep(lease.length / 3).await;
            let asked = Instant::now();
            let left = lease.length.saturating_sub(renewed.elapsed());
            match timeout(left, self.effects.renew_stream(lease, (self.clock)())).await {
                Ok(Ok(())) => renewed = asked,
                Ok(Err(error)) if !matches!(error, StoreError::Fenced) => {
                    tracing::warn!(%error, "the stream lease was not renewed; trying again");
                }
                Ok(Err(_)) | Err(_) => return,
            }
        }
    }

    /// A step that never fits into an invocation would wait for ever.
    fn warn_of_short_time(&self, deadline: Deadline) {
        for step in &self.config.steps {
            if !deadline.leaves(step.longest() + self.reading.settle) {
                let needed = (step.longest() + self.reading.settle).as_secs();
                tracing::error!(step = %step.id, needed_s = needed, "the function's timeout is too short for this step");
            }
        }
    }
}
