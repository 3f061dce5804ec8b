//! The scenarios.
//!
//! * Ingest: webhooks that find no topic yet, a full one, and one whose input is too large for the broker.
//! * Journal: with `journal = true`, a webhook that the broker takes and one that it does not.
//! * Consumer: an earlier command that has to be retried, a later one with large input, one that the broker did not take, and
//!   one whose call is slow, so that claim, defer, claim again, check out, hand over, commit, discard and ack all occur.
//! * Recovery: a consumer that works on what a dead one has left behind, so that watch, take-over, look-up and park occur.

use std::time::Duration;

use anyhow::{Result, ensure};
use jiff::Timestamp;
use local::{
    hook::Hook,
    http::Answer,
    proxy::{Fault, Hits},
    third_party::Behaviour,
    webhook::Webhook,
};

use super::{scene::Scene, story::Policy};
use crate::house::{TICKETS, deliver_until_taken, dispute_about, produces};

/// Longer than a message waits for its call, and shorter than a call may take.
const SLOW: Duration = Duration::from_millis(500);
/// A consumer that finds nothing, on a busy machine.
const EMPTY_RUNS: usize = 10;

/// The effects that there must be, and whether each wire has struck.
type Played = Result<(Vec<String>, Vec<Hits>)>;

impl Scene {
    pub(super) async fn ingest(&self) -> Played {
        let struck = self.watch()?;
        let mut effects = self.deliver(&dispute_about("dp_first")?).await?;
        effects.extend(self.deliver(&large(dispute_about("dp_large")?)).await?);
        self.fill_broker_once();
        effects.extend(self.deliver(&dispute_about("dp_refused")?).await?);
        Ok((effects, struck))
    }

    pub(super) async fn journal(&self) -> Played {
        let mut effects = deliver_until_taken(&self.stack, &dispute_about("dp_first")?).await?;
        let struck = self.watch()?;
        effects.extend(self.deliver(&dispute_about("dp_taken")?).await?);
        self.fill_broker_once();
        effects.extend(self.deliver(&dispute_about("dp_refused")?).await?);
        Ok((effects, struck))
    }

    fn fill_broker_once(&self) {
        self.stack.broker_wire.once(produces, Fault::Answer(Answer::partition_full()));
    }

    pub(super) async fn consumer(&self) -> Played {
        let struck = self.watch()?;
        // Where a doubt can be resolved, the earlier command is in doubt; where it can't, it is refused for now.
        let first = match self.story.policy {
            Policy::SameKey | Policy::LookUp => Behaviour::refuse(500).after_applying(),
            Policy::Park => Behaviour::refuse(429),
        };
        self.third_party.script(TICKETS, [first]);
        let mut effects = deliver_until_taken(&self.stack, &dispute_about("dp_earlier")?).await?;
        self.run().await;
        effects.extend(deliver_until_taken(&self.stack, &large(dispute_about("dp_large")?)).await?);
        self.fill_broker_once();
        effects.extend(deliver_until_taken(&self.stack, &dispute_about("dp_refused")?).await?);
        let slow = Hook::new(async || tokio::time::sleep(SLOW).await);
        self.third_party.script(TICKETS, [Behaviour::apply().with_hook(slow)]);
        self.until("due_at").await?;
        self.run().await;
        Ok((effects, struck))
    }

    pub(super) async fn recovery(&self) -> Played {
        let kill = self.stack.consumer.killer().hook();
        self.third_party.script(TICKETS, [Behaviour::apply().with_hook(kill)]);
        let webhook = dispute_about("dp_once")?;
        let effects = deliver_until_taken(&self.stack, &webhook).await?;
        let mut runs = 0;
        while !self.stack.run_consumer().await.is_err_and(|error| error.is_death()) {
            runs += 1;
            ensure!(runs < EMPTY_RUNS, "the first consumer survived");
        }
        // A copy comes at once, and finds the effect held; its original comes back later.
        deliver_until_taken(&self.stack, &webhook).await?;
        self.stack.consumer.warm().await?;
        let struck = self.watch()?;
        self.run().await;
        self.until("lease_until").await?;
        self.run().await;
        Ok((effects, struck))
    }

    /// Waits until that time of every record has come: the end of a dead attempt's lease, or when it is due.
    async fn until(&self, time: &str) -> Result<()> {
        for effect in self.stack.effects().await? {
            let until = effect.record[time].as_i64().unwrap_or_default();
            let left = Timestamp::from_millisecond(until)?.duration_since(Timestamp::now());
            tokio::time::sleep(left.try_into().unwrap_or_default()).await;
        }
        Ok(())
    }
}

/// With input that is too large for the broker.
fn large(webhook: Webhook) -> Webhook {
    webhook.edited(|event| event["data"]["object"]["reason"] = "a long story ".repeat(3_000).into())
}
