//! The relay: publish what is due, before the topic is drained.

use std::time::Duration;

use jiff::Timestamp;

use super::deadline::Deadline;
use crate::{
    broker,
    command::Command,
    effects::{Effects, LANES, due::Due},
    topic::Topic,
};

/// Records a lane gives at most, each run: the topic's partitions hold 100 messages each (transcript 13).
const PER_LANE: i32 = 100;
const PRODUCE_TIMEOUT: Duration = Duration::from_secs(2);

/// Publishes what is due.
#[derive(Debug, Clone)]
pub(super) struct Relay {
    pub(super) topic: Topic,
    pub(super) effects: Effects,
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
            for each in &due {
                if !deadline.leaves(PRODUCE_TIMEOUT + self.settle) || !self.publish(each, &mut relayed).await
                {
                    return relayed;
                }
            }
        }
        relayed
    }

    /// Publishes one, and says whether to go on.
    async fn publish(&self, due: &Due, relayed: &mut Relayed) -> bool {
        let Command { run_id, step, .. } = &due.command;
        let span = tracing::info_span!("due", %run_id, effect_id = due.effect_id, %step);
        match self.topic.publish_command(&due.command, PRODUCE_TIMEOUT).await {
            Ok(()) => relayed.count += 1,
            // One partition is full; others may not be.
            Err(error @ broker::Error::Full { .. }) => {
                span.in_scope(|| tracing::warn!(%error, "a due command stays due"));
                return true;
            }
            Err(error) => {
                span.in_scope(|| tracing::error!(%error, "the relay stopped; the rest stays due"));
                return false;
            }
        }
        if let Err(error) = self.effects.relayed(due, (self.clock)() + self.grace).await {
            span.in_scope(|| tracing::warn!(%error, "a relayed command stays due"));
        }
        true
    }
}
