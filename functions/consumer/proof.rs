//! What the broker can tell about messages in flight elsewhere: its limits, its counts, or only its silence.
//!
//! In this order: the limit that it names; its metrics, asked where an ack waits for them; its own check, if it acks
//! cumulatively; and where none of these can be had, the clock. A dead predecessor's messages come back 2 s after a new
//! owner connects, on a tick of up to 1 s, so the first acks are held that long and as much again.

use std::{collections::BTreeMap, time::Duration};

use driftq_client::{Error, Limits};
use tokio::{task::JoinSet, time::Instant};

use super::ack_order::{AckOrder, Held, Run};
use crate::topic::Topic;

/// From the response headers on: 2 s, a tick of 1 s, and as much again as that tick.
pub(super) const HOLD: Duration = Duration::from_secs(4);
/// Two messages that are dealt together may arrive in either order. A count tells that another one is on its way; without
/// counts none is acked sooner than this after it came, so that a lower one which was overtaken is known by then.
pub(super) const REORDERED: Duration = Duration::from_millis(5);
const TIMEOUT: Duration = Duration::from_secs(2);
/// After so many questions in a row that got no answer, the metrics count as not to be had.
const UNANSWERED: u32 = 5;
/// How long the metrics are left alone after they have answered; twice as long after each answer in a row that proved nothing,
/// up to the longest. Each pair of messages of a partition may need an answer, so this bounds the pace of a drain.
const COUNT_EVERY: Duration = Duration::from_millis(2);
const LONGEST_COUNT_EVERY: Duration = Duration::from_millis(100);
/// So much longer while no ack waits for them yet.
const AHEAD: Duration = Duration::from_millis(10);
/// And so many times as long as they took to answer, so that a broker with much to count is not kept busy by it.
const SHARE: u32 = 4;

/// Asks the broker what it takes to ack.
#[derive(Debug)]
pub(super) struct Proof {
    topic: Topic,
    group: String,
    /// None: not asked for yet. An error: not known on this stream.
    limits: Option<Result<Limits, ()>>,
    counts: Counts,
    /// How often in a row the metrics were asked and did not answer.
    unanswered: u32,
    /// How often in a row they answered, and that proved nothing.
    fruitless: u32,
    asking: JoinSet<Answer>,
}

/// Whether the broker tells how many messages are in flight.
#[derive(Debug, Clone, Copy)]
enum Counts {
    /// It does, and is asked again from then on.
    Again(Instant),
    /// It doesn't, since then.
    Never(Instant),
}

/// What the broker has answered.
#[derive(Debug)]
pub(super) enum Answer {
    Limits(Result<Limits, Error>),
    Counts(Counted),
}

/// What the metrics said.
#[derive(Debug)]
pub(super) struct Counted {
    /// What was held before they were asked.
    held: Vec<Held>,
    counts: Result<BTreeMap<u32, u64>, Error>,
    took: Duration,
}

impl Proof {
    /// Begins by asking for the limits.
    pub(super) fn new(topic: Topic, group: String) -> Self {
        let (counts, mut asking) = (Counts::Again(Instant::now()), JoinSet::new());
        let broker = topic.broker.clone();
        asking.spawn(async move { Answer::Limits(broker.limits(TIMEOUT).await) });
        Self { topic, group, limits: None, counts, unanswered: 0, fruitless: 0, asking }
    }

    /// Whether it is known by now how this broker acks.
    pub(super) fn is_known(&self) -> bool {
        self.limits.is_some()
    }

    /// Whether the broker acks cumulatively.
    pub(super) fn is_cumulative(&self) -> bool {
        matches!(self.limits, Some(Ok(limits)) if limits.is_told) && !self.topic.broker.acks_singly()
    }

    /// Whether order and clock are all there is to go by.
    pub(super) fn is_blind(&self) -> bool {
        matches!(self.counts, Counts::Never(_))
    }

    /// Proves what can be proven, and asks for the rest. What the broker has to check by itself comes back.
    pub(super) fn seek<T>(&mut self, order: &mut AckOrder<T>, opened_at: Option<Instant>) -> Vec<Run<T>> {
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
            // Messages that will yet be seen may be lower than those that have been.
            Counts::Never(_) if opened_at.is_none_or(|opened| opened.elapsed() < HOLD) => {}
            Counts::Never(_) => open.into_iter().for_each(|held| order.prove(held)),
        }
        Vec::new()
    }

    fn count(&mut self, held: Vec<Held>) {
        let (topic, group) = (self.topic.clone(), self.group.clone());
        self.asking.spawn(async move {
            let asked = Instant::now();
            let counts = topic.broker.in_flight(&topic.name, &group, TIMEOUT).await;
            Answer::Counts(Counted { held, counts, took: asked.elapsed() })
        });
    }

    /// When the metrics may be asked next, if that is known.
    pub(super) fn next_count(&self) -> Option<Instant> {
        match self.counts {
            Counts::Again(at) if self.asking.is_empty() => Some(at),
            Counts::Again(_) | Counts::Never(_) => None,
        }
    }

    /// The broker's next answer.
    pub(super) async fn next(&mut self) -> Option<Answer> {
        self.asking.join_next().await?.ok()
    }

    /// Learns from an answer. Says whether the broker gave one just now: its limits a process may know since long ago.
    pub(super) fn learn<T>(&mut self, answer: Answer, order: &mut AckOrder<T>) -> bool {
        match answer {
            Answer::Limits(limits) => {
                if let Err(error) = &limits {
                    tracing::warn!(%error, "the broker's limits can't be read; none is assumed on this stream");
                }
                self.limits = Some(limits.map_err(drop));
                false
            }
            Answer::Counts(counted) => self.learn_counts(counted, order),
        }
    }

    fn learn_counts<T>(&mut self, counted: Counted, order: &mut AckOrder<T>) -> bool {
        let Counted { held, counts, took } = counted;
        self.unanswered = match &counts {
            Err(error) if error.is_no_answer() => self.unanswered + 1,
            _ => 0,
        };
        let why = match counts {
            // A passing trouble is no reason to go by the clock for the rest of the stream.
            Err(_) if (1..UNANSWERED).contains(&self.unanswered) => {
                self.counts = Counts::Again(Instant::now() + LONGEST_COUNT_EVERY);
                return false;
            }
            // What we hold is in flight, so its partition must be there.
            Ok(counts) if held.iter().all(|held| counts.contains_key(&held.partition)) => {
                let is_all = |held: &Held| counts[&held.partition] <= held.messages;
                let proven: Vec<_> = held.into_iter().filter(is_all).collect();
                self.fruitless = if proven.is_empty() { self.fruitless + 1 } else { 0 };
                proven.into_iter().for_each(|held| order.prove(held));
                self.counts = Counts::Again(Instant::now() + pause(took, self.fruitless));
                return true;
            }
            Ok(_) => "they don't tell how many messages of a partition are in flight".to_owned(),
            Err(error) => error.to_string(),
        };
        tracing::warn!(error = %why, "the broker's metrics can't be had; acks on this stream go by other proofs");
        self.counts = Counts::Never(Instant::now());
        false
    }
}

/// How long the metrics are left alone.
fn pause(took: Duration, fruitless: u32) -> Duration {
    let wait = COUNT_EVERY.saturating_mul(1 << fruitless.min(16)).min(LONGEST_COUNT_EVERY);
    wait.max(took.saturating_mul(SHARE))
}
