//! The relay: publish what is due, before the topic is drained.
//!
//! Most of it is settled by that very drain, so publishing writes nothing. What is left at the end of the invocation, since
//! time was up, the stream broke or the broker lost it, is put off: else the next run would publish the same again, on top
//! of what may still be in the topic, and what is due behind it would not get its turn.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use tokio::time::timeout;
use tracing::{Instrument as _, Span};

use super::{deadline::Deadline, published::Published};
use crate::{
    broker,
    command::Command,
    effects::{Effects, LANES, due::Due},
    topic::Topic,
};

/// Records a lane gives at most, each run: the topic's partitions hold 100 messages each (transcript 13).
const PER_LANE: i32 = 100;
const PRODUCE_TIMEOUT: Duration = Duration::from_secs(2);
/// What putting off is given, all of it: a request whose answer is lost can be made again.
const PUT_OFF_TIMEOUT: Duration = Duration::from_secs(3);
/// How many are put off at a time.
const AT_ONCE: usize = 16;

/// Publishes what is due, and puts off what comes of nothing.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) topic: Topic,
    pub(super) effects: Effects,
    pub(super) published: Published,
    pub(super) grace: Duration,
    pub(super) settle: Duration,
    pub(super) clock: fn() -> Timestamp,
}

/// What the agenda held.
#[derive(Debug, Default)]
pub(super) struct Relayed {
    /// Commands published.
    pub(super) count: u64,
    /// How long the oldest command had been due, zero if none was. None: that could not be read.
    pub(super) oldest_due: Option<Duration>,
}

impl Relay {
    /// Publishes what is due. What the broker or the table refuses stays due.
    pub(super) async fn run(&self, deadline: Deadline) -> Relayed {
        let mut relayed = Relayed::default();
        for lane in 0..LANES {
            let now = (self.clock)();
            let due = match self.effects.due(lane, now, PER_LANE).await {
                Ok(due) => due,
                Err(error) => {
                    tracing::error!(lane, %error, "the agenda could not be read");
                    return relayed;
                }
            };
            let oldest = due.first().map_or(now, |due| due.due_at);
            let age = Duration::try_from(now.duration_since(oldest)).unwrap_or_default();
            relayed.oldest_due = relayed.oldest_due.max(Some(age));
            for each in due {
                if !deadline.leaves(PRODUCE_TIMEOUT + self.settle) || !self.publish(each, &mut relayed).await
                {
                    return relayed;
                }
            }
        }
        relayed
    }

    /// Publishes one, and says whether to go on.
    async fn publish(&self, due: Due, relayed: &mut Relayed) -> bool {
        let span = span(&due);
        match self.topic.publish_command(&due.command, PRODUCE_TIMEOUT).await {
            Ok(()) => {
                relayed.count += 1;
                self.published.remember(due);
                true
            }
            // One partition is full; others may not be.
            Err(error @ broker::Error::Full { .. }) => {
                span.in_scope(|| tracing::warn!(%error, "a due command stays due"));
                true
            }
            Err(error) => {
                span.in_scope(|| tracing::error!(%error, "the relay stopped; the rest stays due"));
                false
            }
        }
    }

    /// Puts off what was published and is not settled. Best effort: what stays due is published once more, and a copy does
    /// no harm.
    pub(super) async fn put_off(&self, deadline: Deadline) {
        let later = (self.clock)() + self.grace;
        let left = stream::iter(self.published.take());
        let all = left.for_each_concurrent(AT_ONCE, |due| async move {
            let span = span(&due);
            self.put_one_off(&due, later).instrument(span).await;
        });
        if timeout(deadline.half(PUT_OFF_TIMEOUT), all).await.is_err() {
            tracing::warn!("no time left to put off all relayed commands; the rest stays due");
        }
    }

    async fn put_one_off(&self, due: &Due, later: Timestamp) {
        if let Err(error) = self.effects.put_off(due, later).await {
            tracing::warn!(%error, "a relayed command stays due");
        }
    }
}

fn span(due: &Due) -> Span {
    let Command { run_id, step, .. } = &due.command;
    tracing::info_span!("due", %run_id, effect_id = due.effect_id, %step)
}
