//! The relay: publish what is due, before the topic is drained.

use std::time::Duration;

use jiff::Timestamp;

use super::deadline::Deadline;
use crate::{
    broker,
    effects::{Effects, LANES},
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

impl Relay {
    /// Publishes what is due, and says how many commands that were. What the broker or the table refuses stays due.
    pub(super) async fn run(&self, deadline: Deadline) -> u64 {
        let mut relayed = 0;
        for lane in 0..LANES {
            let due = match self.effects.due(lane, (self.clock)(), PER_LANE).await {
                Ok(due) => due,
                Err(error) => {
                    tracing::error!(lane, %error, "the agenda could not be read");
                    return relayed;
                }
            };
            for each in &due {
                if !deadline.leaves(PRODUCE_TIMEOUT + self.settle) {
                    return relayed;
                }
                match self.topic.publish_command(&each.command, PRODUCE_TIMEOUT).await {
                    Ok(()) => relayed += 1,
                    // One partition is full; others may not be.
                    Err(broker::Error::Full { message, .. }) => {
                        tracing::warn!(lane, message, "a due command stays due");
                        continue;
                    }
                    Err(error) => {
                        tracing::error!(lane, %error, "the relay stopped; the rest stays due");
                        return relayed;
                    }
                }
                if let Err(error) = self.effects.relayed(each, (self.clock)() + self.grace).await {
                    tracing::warn!(%error, "a relayed command stays due");
                }
            }
        }
        relayed
    }
}
