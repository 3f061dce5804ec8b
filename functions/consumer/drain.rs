//! One stream: receive, work, ack in order.
//!
//! * Acks go out in order within a partition, and none without a proof that no lower message is in flight elsewhere
//!   ([`AckOrder`], `proof`).
//! * When the stream breaks, or the stream lease is lost, no more acks are sent. Unacked messages are redelivered on the next stream, and the
//!   guard makes that cheap.
//! * A stream of an empty topic sends nothing, not even headers: only a clock shows that it is quiet.

use std::{sync::Arc, time::Duration};

use driftq_client::{AckToken, Delivery, Error, Stream, Subscription};
use tokio::{
    task::{JoinError, JoinSet},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;
use uuid::Uuid;

use super::{
    Worker,
    ack_order::{AckOrder, AckRun, Delivered},
    acks::{Ack, AckMode, AckOutcome, Acks, Sent},
    activity::Activity,
    proof::{Proof, REORDERED},
    work::Unsettled,
};
use crate::{effects::Settled, topic::Topic};

/// How often clocks are checked while nothing happens.
const TICK: Duration = Duration::from_millis(100);
/// How long outstanding acks are waited for once nothing is read any more.
const LAST_ACKS: Duration = Duration::from_secs(2);
/// The maximum number of messages in one cumulative ack.
const LONGEST_RUN: usize = 256;

/// What is read, and how.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    pub(super) topic: Topic,
    pub(super) group: String,
    /// Length of a message's lease at the broker. Each stream's is randomly a little longer.
    pub(super) lease: Duration,
}

/// Why reading a stream ended.
#[derive(Debug)]
pub(super) enum StreamEnd {
    /// It was told to stop.
    Stopped,
    /// The stream broke.
    Broken(Error),
    /// Another consumer has taken the stream lease, or may have taken it.
    LeaseLost,
}

type Work = (AckToken, u32, u64, Result<Settled, Unsettled>);

/// The work in progress on one stream.
pub(super) struct Drain<'a> {
    worker: &'a Arc<Worker>,
    activity: &'a Activity,
    stream: Stream,
    order: AckOrder<Ack>,
    proof: Proof,
    acks: Acks,
    working: JoinSet<Work>,
    ended: Option<StreamEnd>,
    ended_at: Instant,
    has_answered: bool,
}

impl<'a> Drain<'a> {
    /// Opens a stream, with a unique owner name.
    pub(super) fn open(worker: &'a Arc<Worker>, reading: &Reading, activity: &'a Activity) -> Self {
        let Reading { topic, group, lease } = reading;
        let owner = Uuid::new_v4();
        let stream = topic.broker.consume(Subscription {
            topic: topic.name.clone(),
            group: group.clone(),
            owner: format!("consumer-{}", owner.simple()),
            lease: varied(*lease, owner),
        });
        Self {
            worker,
            activity,
            stream,
            order: AckOrder::default(),
            proof: Proof::new(topic.clone(), group.clone()),
            acks: Acks::new(topic.broker.clone()),
            working: JoinSet::new(),
            ended: None,
            ended_at: Instant::now(),
            has_answered: false,
        }
    }

    /// Reads until told to stop, or until the stream ends, and finishes all work that was started. Returns whether the broker has responded.
    pub(super) async fn run(
        mut self,
        stop: &CancellationToken,
        lease_lost: &CancellationToken,
    ) -> (StreamEnd, bool) {
        loop {
            self.send_acks();
            if self.is_over() {
                self.worker.meter.unacked(self.order.unacked() as u64);
                return (self.ended.unwrap_or(StreamEnd::Stopped), self.has_answered);
            }
            let wake = self.wakes_at();
            tokio::select! {
                delivery = self.stream.next(), if self.ended.is_none() => self.on_delivery(delivery),
                Some(work) = self.working.join_next() => self.on_work(work),
                Some(sent) = self.acks.next() => self.on_ack(sent),
                Some(answer) = self.proof.next() => {
                    self.has_answered |= self.proof.learn(answer, &mut self.order);
                }
                () = lease_lost.cancelled(), if !matches!(self.ended, Some(StreamEnd::LeaseLost)) => {
                    self.end(StreamEnd::LeaseLost);
                }
                () = stop.cancelled(), if self.ended.is_none() => self.end(StreamEnd::Stopped),
                () = sleep_until(wake) => {}
            }
        }
    }

    /// When clocks are checked next.
    fn wakes_at(&self) -> Instant {
        let (now, tick) = (Instant::now(), Instant::now() + TICK);
        self.proof.next_count().filter(|count| *count > now).map_or(tick, |count| tick.min(count))
    }

    fn end(&mut self, ended: StreamEnd) {
        self.ended = Some(ended);
        self.ended_at = Instant::now();
        if !self.may_ack() {
            self.acks.stop();
        }
    }

    /// Whether all work is finished on a stream that has ended.
    fn is_over(&mut self) -> bool {
        let is_acking = self.may_ack() && (self.order.is_busy() || !self.acks.is_empty());
        // And not before the broker had time to respond.
        if is_acking || !self.working.is_empty() || !self.proof.is_known() {
            self.activity.touch();
        }
        // Acks may have to be given up: those that wait for a message elsewhere, and those that wait for one
        // that is no longer read.
        let has_time = self.ended_at.elapsed() < LAST_ACKS;
        let waits =
            is_acking && has_time && self.worker.deadline.leaves(self.worker.config.consumer.settle / 2);
        self.ended.is_some() && !waits && self.working.is_empty()
    }

    /// Whether acks may still be sent on this stream. Without counts, none is sent after reading has stopped:
    /// the broker would count messages that are still on their way to us as ours.
    fn may_ack(&self) -> bool {
        match self.ended {
            None => true,
            Some(StreamEnd::Stopped) => !self.proof.is_blind(),
            Some(StreamEnd::Broken(_) | StreamEnd::LeaseLost) => false,
        }
    }

    fn send_acks(&mut self) {
        if !self.may_ack() || !self.proof.is_known() {
            return;
        }
        let unproven = self.proof.seek(&mut self.order, self.stream.opened_at());
        let (how, ready) = if self.proof.is_cumulative() {
            (AckMode::Through, self.order.ready(LONGEST_RUN))
        } else {
            (AckMode::One, self.order.ready_singly())
        };
        let proven = ready.into_iter().map(|run| (run, how));
        for (run, how) in proven.chain(unproven.into_iter().map(|run| (run, AckMode::Through))) {
            self.acks.send(run, how);
        }
    }

    fn on_delivery(&mut self, delivery: Result<Option<Delivery>, Error>) {
        let delivery = match delivery.and_then(|delivery| delivery.ok_or(Error::Interrupted(None))) {
            Ok(delivery) => delivery,
            Err(error) => return self.end(StreamEnd::Broken(error)),
        };
        let Delivery { partition, offset, key, value, token, .. } = delivery;
        self.activity.touch();
        self.has_answered = true;
        self.worker.meter.received();
        if self.order.received(partition, offset) == Delivered::Again {
            return;
        }
        let (worker, is_blind) = (Arc::clone(self.worker), self.proof.is_blind());
        let work = async move {
            let overtaken = async {
                if is_blind {
                    tokio::time::sleep(REORDERED).await;
                }
            };
            // A panic at one message must not affect the other messages or the order of acks.
            let message = Box::pin(async move { worker.message(&key, &value).await });
            let work = tokio::spawn(message.in_current_span());
            let (settled, ()) = tokio::join!(work, overtaken);
            (token, partition, offset, settled.unwrap_or(Err(Unsettled::Panicked)))
        };
        // Boxed, like every future that becomes a task: tokio copies a future of several KB about ten times.
        self.working.spawn(Box::pin(work).in_current_span());
    }

    fn on_work(&mut self, work: Result<Work, JoinError>) {
        let Ok((token, partition, offset, outcome)) = work else { return };
        match outcome {
            Ok(settled) => self.order.settled(partition, offset, (token, settled)),
            Err(_) => self.order.unsettled(partition, offset),
        }
    }

    fn on_ack(&mut self, sent: Sent) {
        let Sent { partition, offsets, outcome } = sent;
        let count = offsets.len() as u64;
        match outcome {
            AckOutcome::Acked => {
                self.has_answered = true;
                offsets.into_iter().for_each(|offset| self.order.acked(partition, offset));
            }
            AckOutcome::Gone => {
                self.worker.meter.unacked(count);
                offsets.into_iter().for_each(|offset| self.order.acked(partition, offset));
            }
            AckOutcome::Wait(run) => self.order.returned(AckRun { partition, ..run }),
            AckOutcome::Refused(error) => {
                self.worker.meter.unacked(count);
                tracing::warn!(partition, ?offsets, %error, "an ack was refused; its messages come back as duplicates");
                offsets.into_iter().for_each(|offset| self.order.refused(partition, offset));
            }
        }
    }
}

/// The lease, up to an eighth longer. With equal leases, the stream of a dead consumer that the broker treats as open can get the same message
/// again each time it is redelivered.
fn varied(lease: Duration, random: Uuid) -> Duration {
    lease + lease.mul_f64(f64::from(random.as_bytes()[15]) / 256.0 / 8.0)
}
