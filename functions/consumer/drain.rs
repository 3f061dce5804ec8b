//! One stream: receive, work, ack in order.
//!
//! * Acks go out in order within a partition, and none while a lower message may be in other hands ([`AckOrder`]): where that
//!   is open, the broker's metrics tell how many are in flight. That covers what a dead predecessor had, what its half-open
//!   stream is dealt, and what is overtaken on its way to us.
//! * Where they can't be had, order and clock are all there is: the first acks are held, since a dead predecessor's messages
//!   come back only 2 s after a new owner connects, and an ack before that would pass them over (transcript 23).
//! * When the stream breaks, or the stream lease is lost, no more acks are sent. What was received and not acked comes
//!   back on the next stream, and the guard makes that cheap.
//! * An empty topic sends nothing, not even headers (transcript 20): idle is decided by the clock.

use std::{collections::BTreeMap, panic::AssertUnwindSafe, pin::Pin, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use tracing::Instrument as _;
use uuid::Uuid;

use super::{
    Reading, Worker,
    ack_order::{AckOrder, Delivered, Held},
    deadline::Deadline,
    step::Unsettled,
    summary::Summary,
};
use crate::{
    broker::{AckToken, Acked, Delivery, Error, Stream, Subscription},
    effects::Settled,
};

/// From the response headers on: 2 s for the predecessor's messages, a redelivery tick of 250 ms, and as much again.
pub(super) const HOLD: Duration = Duration::from_millis(2500);
/// Two messages that are dealt together may arrive in either order (transcript 18). A count tells that another one is on its
/// way; without counts none is acked sooner than this, so that a lower one which was overtaken is known by then.
const REORDERED: Duration = Duration::from_millis(5);
const ACK_TIMEOUT: Duration = Duration::from_secs(2);
const COUNT_TIMEOUT: Duration = Duration::from_secs(2);
/// How often clocks are looked at while nothing happens.
const TICK: Duration = Duration::from_millis(100);

/// Why a drain ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// Nothing came for a while.
    Idle,
    /// The invocation is nearly over.
    Deadline,
    /// The stream broke.
    Broken(Error),
    /// Another consumer has taken the stream, or may have.
    Ousted,
}

/// Resolves when the stream lease is lost.
pub(super) type Ousting<'a> = Pin<&'a mut (dyn Future<Output = ()> + Send)>;

type Count = (Vec<Held>, Result<BTreeMap<u32, u64>, Error>);
type Work = (AckToken, u32, u64, Result<Settled, Unsettled>);

/// Whether the broker tells how many messages are in flight.
#[derive(Debug, Clone, Copy)]
enum Counts {
    /// It does, and is asked again from then on.
    Again(Instant),
    /// It doesn't, since then.
    Never(Instant),
}

/// What is under way on one stream.
pub(super) struct Drain<'a> {
    worker: Arc<Worker>,
    reading: &'a Reading,
    deadline: Deadline,
    summary: &'a mut Summary,
    stream: Stream,
    order: AckOrder<(AckToken, Settled)>,
    working: JoinSet<Work>,
    acking: JoinSet<(u32, u64, Result<Acked, Error>)>,
    counting: JoinSet<Count>,
    counts: Counts,
    active: Instant,
    ended: Option<Ended>,
}

impl<'a> Drain<'a> {
    /// Opens a stream, under an owner name of its own.
    pub(super) fn open(
        worker: &Arc<Worker>,
        reading: &'a Reading,
        deadline: Deadline,
        summary: &'a mut Summary,
    ) -> Self {
        let stream = reading.topic.broker.consume(Subscription {
            topic: reading.topic.name.clone(),
            group: reading.group.clone(),
            owner: format!("consumer-{}", Uuid::new_v4().simple()),
            lease: reading.lease,
        });
        Self {
            worker: Arc::clone(worker),
            reading,
            deadline,
            summary,
            stream,
            order: AckOrder::default(),
            working: JoinSet::new(),
            acking: JoinSet::new(),
            counting: JoinSet::new(),
            counts: Counts::Again(Instant::now()),
            active: Instant::now(),
            ended: None,
        }
    }

    /// Drains until idle, the deadline, or an end of the stream; whatever was begun is finished first.
    pub(super) async fn run(mut self, mut ousting: Ousting<'_>) -> Ended {
        loop {
            self.send_acks();
            if let Some(ended) = self.over() {
                self.summary.unacked += self.order.unacked() as u64;
                return ended;
            }
            let wake = Instant::now() + TICK;
            tokio::select! {
                delivery = self.stream.next(), if self.ended.is_none() => self.on_delivery(delivery),
                Some(work) = self.working.join_next() => self.on_work(work),
                Some(ack) = self.acking.join_next() => self.on_ack(ack),
                Some(Ok((held, count))) = self.counting.join_next() => self.on_count(held, count),
                () = &mut ousting, if !matches!(self.ended, Some(Ended::Ousted)) => self.ended = Some(Ended::Ousted),
                () = sleep_until(wake) => {}
            }
        }
    }

    /// Why it is over, once nothing is under way any more.
    fn over(&mut self) -> Option<Ended> {
        if self.ended.is_none() && !self.deadline.leaves(self.reading.settle) {
            self.ended = Some(Ended::Deadline);
        }
        // Acks that wait for a message in other hands may have to be left.
        let waits = self.may_ack() && self.order.is_busy() && self.deadline.leaves(self.reading.settle / 2);
        if waits || !self.working.is_empty() || !self.acking.is_empty() {
            self.active = Instant::now();
            return None;
        }
        if self.ended.is_none() && self.active.elapsed() >= self.reading.idle_exit {
            self.ended = Some(Ended::Idle);
        }
        self.ended.take()
    }

    /// Acks may still be sent on this stream, now or after the hold.
    fn may_ack(&self) -> bool {
        !matches!(self.ended, Some(Ended::Broken(_) | Ended::Ousted))
    }

    fn send_acks(&mut self) {
        if self.is_held() || !self.may_ack() {
            return;
        }
        for (partition, offset, (token, settled)) in self.order.ready() {
            let broker = self.reading.topic.broker.clone();
            self.acking
                .spawn(async move { (partition, offset, broker.ack(token, settled, ACK_TIMEOUT).await) });
        }
        self.count();
    }

    /// Without counts, messages that will yet be seen may be lower than those that have been.
    fn is_held(&self) -> bool {
        let Counts::Never(since) = self.counts else { return false };
        let is_young = self.stream.opened_at().is_none_or(|opened| opened.elapsed() < HOLD);
        is_young || since.elapsed() < REORDERED
    }

    /// Asks how many messages are in flight where that decides whether an ack may be sent.
    fn count(&mut self) {
        let held = self.order.in_doubt();
        match self.counts {
            Counts::Again(at) if held.is_empty() || !self.counting.is_empty() || Instant::now() < at => {
                return;
            }
            Counts::Again(_) => {}
            Counts::Never(_) => return held.into_iter().for_each(|held| self.order.hold_all(held)),
        }
        let Reading { topic, group, .. } = self.reading.clone();
        self.counting
            .spawn(async move { (held, topic.broker.in_flight(&topic.name, &group, COUNT_TIMEOUT).await) });
    }

    fn on_count(&mut self, held: Vec<Held>, count: Result<BTreeMap<u32, u64>, Error>) {
        self.counts = Counts::Again(Instant::now() + TICK);
        let why = match count {
            // What we hold is in flight, so its partition must be there.
            Ok(count) if held.iter().all(|held| count.contains_key(&held.partition)) => {
                let is_all = |held: &Held| count[&held.partition] <= held.messages;
                return held.into_iter().filter(is_all).for_each(|held| self.order.hold_all(held));
            }
            Ok(_) => "they don't tell how many messages of a partition are in flight".to_owned(),
            Err(error) => error.to_string(),
        };
        tracing::warn!(error = %why, "the broker's metrics can't be had; acks on this stream go by order and clock alone");
        self.counts = Counts::Never(Instant::now());
    }

    fn on_delivery(&mut self, delivery: Result<Option<Delivery>, Error>) {
        let delivery = match delivery.and_then(|delivery| delivery.ok_or(Error::Interrupted(None))) {
            Ok(delivery) => delivery,
            Err(error) => {
                self.ended = Some(Ended::Broken(error));
                return;
            }
        };
        let Delivery { partition, offset, key, value, token, .. } = delivery;
        self.active = Instant::now();
        self.summary.received += 1;
        if self.order.received(partition, offset) == Delivered::Again {
            return;
        }
        let (worker, deadline) = (Arc::clone(&self.worker), self.deadline);
        let is_blind = matches!(self.counts, Counts::Never(_));
        let work = async move {
            let overtaken = async {
                if is_blind {
                    sleep(REORDERED).await;
                }
            };
            // A message that makes us panic must not take the others, or the order of acks, with it.
            let work = AssertUnwindSafe(worker.work(&key, &value, deadline)).catch_unwind();
            let (settled, ()) = tokio::join!(work, overtaken);
            (token, partition, offset, settled.unwrap_or(Err(Unsettled::Panicked)))
        };
        self.working.spawn(work.in_current_span());
    }

    fn on_work(&mut self, work: Result<Work, tokio::task::JoinError>) {
        let Ok((token, partition, offset, outcome)) = work else { return };
        match outcome {
            Ok(settled) => {
                self.summary.count(settled.how());
                self.order.settled(partition, offset, (token, settled));
            }
            Err(unsettled) => {
                self.order.unsettled(partition, offset);
                if matches!(unsettled, Unsettled::NoTime) && self.ended.is_none() {
                    self.ended = Some(Ended::Deadline);
                }
            }
        }
    }

    /// An ack that failed is not sent again: the message is settled, and when it comes back it is a duplicate.
    fn on_ack(&mut self, ack: Result<(u32, u64, Result<Acked, Error>), tokio::task::JoinError>) {
        let Ok((partition, offset, outcome)) = ack else { return };
        match &outcome {
            Err(Error::NotOwner | Error::Rejected { .. }) => self.order.refused(partition, offset),
            _ => self.order.acked(partition, offset),
        }
        match outcome {
            Ok(Acked::Done) => {}
            Ok(Acked::Gone) => self.summary.unacked += 1,
            Err(error) => {
                self.summary.unacked += 1;
                tracing::warn!(partition, offset, %error, "an ack failed; the message will come back as a duplicate");
            }
        }
    }
}
