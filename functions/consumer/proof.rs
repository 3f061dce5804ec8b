//! Proves which messages may be in flight elsewhere: by the broker's limits, its counts, its own check, or by time.
//!
//! In this order: the limit that the broker states; its metrics, requested when an ack waits for them; its
//! own check, if it acks cumulatively; and if none of these is available, time. A dead predecessor's messages
//! are redelivered 2 s after a new owner connects, on a tick of up to 1 s, so the first acks are held longer
//! than that ([`HOLD`]).

use std::{collections::BTreeMap, time::Duration};

use driftq_client::{Error, Limits};
use tokio::{task::JoinSet, time::Instant};

use super::ack_order::{AckOrder, AckRun, HeldMessages};
use crate::topic::Topic;

/// How long the first acks are held, from the response headers on: 2 s, a tick of 1 s, and 1 s to spare.
pub(super) const HOLD: Duration = Duration::from_secs(4);
/// Two messages that are delivered together may arrive in either order. A count shows that another message is on its way. Without counts, no
/// message is acked before this much time has passed since it arrived, so that a lower one that arrives late is known by then.
pub(super) const REORDERED: Duration = Duration::from_millis(5);
const TIMEOUT: Duration = Duration::from_secs(2);
/// After this many consecutive requests without a response, the metrics count as unavailable.
const UNANSWERED: u32 = 5;
/// The minimum pause after a response of the metrics; doubled after each consecutive response that proved nothing, up to the longest. Each
/// pair of messages of a partition may need a response, so this bounds the pace of a drain.
const COUNT_EVERY: Duration = Duration::from_millis(2);
const LONGEST_COUNT_EVERY: Duration = Duration::from_millis(100);
/// The additional pause while no ack waits.
const AHEAD: Duration = Duration::from_millis(10);
/// The pause is at least this many times the time that the broker needs for its metrics, so that one with much to count is not kept busy.
const SHARE: u32 = 4;
/// The first estimate of that time, and the least one.
const COUNTING: Duration = Duration::from_micros(500);

/// Requests what is needed to ack.
#[derive(Debug)]
pub(super) struct Proof {
    topic: Topic,
    group: String,
    /// None: not requested yet. An error: unknown on this stream.
    limits: Option<Result<Limits, ()>>,
    counts: Counts,
    /// Number of consecutive metrics requests without a response.
    unanswered: u32,
    /// Number of consecutive responses that proved nothing.
    fruitless: u32,
    /// An estimate of the time that the broker needs for its metrics.
    counting: Duration,
    asking: JoinSet<BrokerAnswer>,
}

/// Whether the broker reports how many messages are in flight.
#[derive(Debug, Clone, Copy)]
enum Counts {
    /// It does; they are requested again from this time on.
    Again(Instant),
    /// It does not, since this time.
    Never(Instant),
}

/// A response of the broker.
#[derive(Debug)]
pub(super) enum BrokerAnswer {
    Limits(Result<Limits, Error>),
    Counts(Counted),
}

/// A response of the metrics.
#[derive(Debug)]
pub(super) struct Counted {
    /// What was held before the request.
    held: Vec<HeldMessages>,
    counts: Result<BTreeMap<u32, u64>, Error>,
    took: Duration,
}

impl Proof {
    /// Starts by requesting the limits.
    pub(super) fn new(topic: Topic, group: String) -> Self {
        let (counts, mut asking) = (Counts::Again(Instant::now()), JoinSet::new());
        let broker = topic.broker.clone();
        asking.spawn(async move { BrokerAnswer::Limits(broker.limits(TIMEOUT).await) });
        Self { topic, group, limits: None, counts, unanswered: 0, fruitless: 0, counting: COUNTING, asking }
    }

    /// Whether it is known how this broker acks.
    pub(super) fn is_known(&self) -> bool {
        self.limits.is_some()
    }

    /// Whether the broker acks cumulatively.
    pub(super) fn is_cumulative(&self) -> bool {
        matches!(self.limits, Some(Ok(limits)) if limits.is_told) && !self.topic.broker.acks_singly()
    }

    /// Whether only order and time are available as proof.
    pub(super) fn is_blind(&self) -> bool {
        matches!(self.counts, Counts::Never(_))
    }

    /// Proves what can be proven, and requests the rest. Returns what the broker has to check itself.
    pub(super) fn seek<T>(&mut self, order: &mut AckOrder<T>, opened_at: Option<Instant>) -> Vec<AckRun<T>> {
        if let Some(Ok(Limits { max_in_flight: Some(limit), .. })) = self.limits {
            order.prove_by_limit(limit);
        }
        let open = order.unproven();
        match self.counts {
            _ if open.is_empty() => {}
            Counts::Again(at) => {
                let at = if open.iter().any(|held| held.is_settled) { at } else { at + AHEAD };
                if self.asking.is_empty() && Instant::now() >= at {
                    self.count(open);
                }
            }
            Counts::Never(since) if since.elapsed() < REORDERED => {}
            Counts::Never(_) if self.is_cumulative() => return order.unproven_runs(),
            // Messages that are still to come may be lower than those received.
            Counts::Never(_) if opened_at.is_none_or(|opened| opened.elapsed() < HOLD) => {}
            Counts::Never(_) => open.into_iter().for_each(|held| order.prove(held)),
        }
        Vec::new()
    }

    fn count(&mut self, held: Vec<HeldMessages>) {
        let (topic, group) = (self.topic.clone(), self.group.clone());
        self.asking.spawn(async move {
            let asked = Instant::now();
            let counts = topic.broker.in_flight(&topic.name, &group, TIMEOUT).await;
            BrokerAnswer::Counts(Counted { held, counts, took: asked.elapsed() })
        });
    }

    /// When the metrics may be requested next, if known.
    pub(super) fn next_count(&self) -> Option<Instant> {
        match self.counts {
            Counts::Again(at) if self.asking.is_empty() => Some(at),
            Counts::Again(_) | Counts::Never(_) => None,
        }
    }

    /// The broker's next response.
    pub(super) async fn next(&mut self) -> Option<BrokerAnswer> {
        self.asking.join_next().await?.ok()
    }

    /// Processes a response. Returns whether it is fresh from the broker: the limits may have been cached by the process.
    pub(super) fn learn<T>(&mut self, answer: BrokerAnswer, order: &mut AckOrder<T>) -> bool {
        match answer {
            BrokerAnswer::Limits(limits) => {
                if let Err(error) = &limits {
                    tracing::warn!(%error, "the broker's limits can't be read; none is assumed on this stream");
                }
                self.limits = Some(limits.map_err(drop));
                false
            }
            BrokerAnswer::Counts(counted) => self.learn_counts(counted, order),
        }
    }

    fn learn_counts<T>(&mut self, counted: Counted, order: &mut AckOrder<T>) -> bool {
        let Counted { held, counts, took } = counted;
        self.unanswered = match &counts {
            Err(error) if error.is_no_answer() => self.unanswered + 1,
            _ => 0,
        };
        let why = match counts {
            // A temporary failure is no reason to rely on time for the rest of the stream.
            Err(_) if (1..UNANSWERED).contains(&self.unanswered) => {
                self.counts = Counts::Again(Instant::now() + LONGEST_COUNT_EVERY);
                return false;
            }
            // What we hold is in flight, so its partition must be in the counts.
            Ok(counts) if held.iter().all(|held| counts.contains_key(&held.partition)) => {
                let is_all = |held: &HeldMessages| counts[&held.partition] <= held.messages;
                let proven: Vec<_> = held.into_iter().filter(is_all).collect();
                self.fruitless = if proven.is_empty() { self.fruitless + 1 } else { 0 };
                proven.into_iter().for_each(|held| order.prove(held));
                // A response may wait here while this thread works on commands, so a single late one at most
                // doubles the estimate.
                self.counting = took.min(self.counting * 2).max(COUNTING);
                self.counts = Counts::Again(Instant::now() + pause(self.counting, self.fruitless));
                return true;
            }
            Ok(_) => "they don't tell how many messages of a partition are in flight".to_owned(),
            Err(error) => error.to_string(),
        };
        tracing::warn!(error = %why, "the broker's metrics are not available; acks on this stream use other proofs");
        self.counts = Counts::Never(Instant::now());
        false
    }
}

/// The pause before the next request of the metrics.
fn pause(counting: Duration, fruitless: u32) -> Duration {
    let wait = COUNT_EVERY.saturating_mul(1 << fruitless.min(16)).min(LONGEST_COUNT_EVERY);
    wait.max(counting.saturating_mul(SHARE))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A response of the metrics that took this long, and counts `elsewhere` more messages in flight in each
    /// partition than are here.
    fn response(order: &AckOrder<()>, elsewhere: u64, took: Duration) -> BrokerAnswer {
        let held = order.unproven();
        let counts = held.iter().map(|held| (held.partition, held.messages + elsewhere)).collect();
        BrokerAnswer::Counts(Counted { held, counts: Ok(counts), took })
    }

    /// A response that proves nothing.
    fn in_vain(order: &AckOrder<()>, took: Duration) -> BrokerAnswer {
        response(order, 1, took)
    }

    fn proof() -> Proof {
        let address = "http://127.0.0.1:1".parse().unwrap();
        let http = crate::clients::http(&|_| None).unwrap();
        let broker = driftq_client::Client::new(http, address, None).unwrap();
        Proof::new(Topic { broker, name: "commands".to_owned(), partitions: 1 }, "workers".to_owned())
    }

    #[tokio::test]
    async fn the_pauses_double_until_a_response_proves_something() {
        let (mut proof, mut order) = (proof(), AckOrder::default());
        order.received(0, 5);
        let mut pauses_for = |answer: fn(&AckOrder<()>) -> BrokerAnswer, pause: Duration| {
            let began = Instant::now();
            proof.learn(answer(&order), &mut order);
            let Counts::Again(at) = proof.counts else { panic!("they can be had") };
            assert!(
                began + pause <= at && at <= Instant::now() + pause,
                "{:?} and not {pause:?}",
                at - began
            );
        };
        for doubled in 1..=5 {
            pauses_for(|order| in_vain(order, Duration::ZERO), COUNT_EVERY * (1 << doubled));
        }
        pauses_for(|order| response(order, 0, Duration::ZERO), COUNT_EVERY);
        pauses_for(|order| in_vain(order, Duration::ZERO), COUNT_EVERY * 2);
    }

    #[tokio::test]
    async fn one_late_response_is_no_slow_broker_and_many_are() {
        let (mut proof, order) = (proof(), &mut AckOrder::default());
        order.received(0, 5);
        let late = Duration::from_millis(40);
        proof.learn(in_vain(order, late), order);
        assert_eq!(proof.counting, COUNTING * 2);
        proof.learn(in_vain(order, Duration::ZERO), order);
        assert_eq!(proof.counting, COUNTING);
        for _ in 0..10 {
            proof.learn(in_vain(order, late), order);
        }
        assert_eq!((proof.counting, pause(proof.counting, 0)), (late, late * SHARE));
    }
}
