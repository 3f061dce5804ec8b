//! The scenarios.
//!
//! * Ingest: webhooks for a missing topic, for a full one, and one whose input is too large for the broker; and wake-ups.
//! * Journal: with `journal = true`, a webhook that the broker accepts and one that it does not.
//! * Consumer: an earlier command that has to be retried, a later one with large input and a slow call, and one that the broker did not accept;
//!   so that claim, defer, claim in place, check out, hand over, commit, discard and ack all occur.
//! * Recovery: a consumer that continues a dead one's work, so that watch, take-over, look-up and park occur.
//! * Newer: a broker that acks cumulatively, three commands of one partition for a third party with one call at a time, and a wake-up that finds
//!   the stream taken; so that a run of messages is acked at once, messages are put on the agenda before any claim, and the stream lease is
//!   released while another consumer waits for it.
//! * Chain: two effects, a third that comes after both, and an item that is written after that; so that effects begin others.

use std::{pin::pin, time::Duration};

use anyhow::{Result, ensure};
use futures_util::future::{Either, select};
use local::{
    hook::Hook,
    http::Answer,
    proxy::{Fault, Hits, Seen},
    third_party::Behaviour,
    webhook::Webhook,
};

use super::{scene::Scene, story::Policy};
use crate::setup::{TICKETS, deliver_until_taken, dispute_about, produces};

const LETTERS: &str = "/v1/letters";
/// The duration of a slow call: longer than a message waits for its call, and shorter than a call may take.
const SLOW: Duration = Duration::from_millis(900);
/// The same where messages first wait a second for a call slot at the third party.
const VERY_SLOW: Duration = Duration::from_millis(1900);
/// A time limit far longer than it takes to start a call.
const PATIENCE: Duration = Duration::from_secs(60);
/// Runs that may find nothing, on a busy machine.
const EMPTY_RUNS: usize = 10;

/// The expected effects, and the rules of each fault proxy.
type Played = Result<(Vec<String>, Vec<Hits>)>;

impl Scene {
    pub(super) async fn ingest(&self) -> Played {
        let struck = self.watch()?;
        // The consumer is not run during ingest: its requests would be counted as ingest's.
        self.stack.lambda()?.proxy.always(|_| true, Fault::Answer(Answer::status(202)));
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
        self.stack.broker_proxy.once(produces, Fault::Answer(Answer::partition_full()));
    }

    pub(super) async fn consumer(&self) -> Played {
        let struck = self.watch()?;
        // If a doubt can be resolved, the earlier command is in doubt; otherwise it is refused for now.
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
        let is_large = |seen: &Seen| seen.method == "POST" && seen.mentions("dp_large");
        self.third_party_proxy.once(is_large, Fault::HookBefore(taking(SLOW)));
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
        // A copy arrives at once, and finds the effect claimed; its original is redelivered later.
        deliver_until_taken(&self.stack, &webhook).await?;
        self.stack.consumer.warm().await?;
        self.until_stream_is_nearly_free().await?;
        let struck = self.watch()?;
        self.run().await;
        self.until("lease_until").await?;
        self.run().await;
        Ok((effects, struck))
    }

    pub(super) async fn chain(&self) -> Played {
        // One after the other, so that the same one is always last.
        self.third_party.script(LETTERS, [Behaviour::refuse(429)]);
        let mut effects = deliver_until_taken(&self.stack, &dispute_about("dp_chain")?).await?;
        let run = effects[0].split(':').next().unwrap_or_default().to_owned();
        effects.extend(["open_file", "count_file"].map(|step| format!("{run}:{step}:dp_chain")));
        let struck = self.watch()?;
        self.run().await;
        self.until("due_at").await?;
        self.run().await;
        Ok((effects, struck))
    }

    pub(super) async fn newer(&self) -> Played {
        let struck = self.watch()?;
        let mut effects = Vec::new();
        for event in ["evt_first", "evt_second", "evt_third"] {
            let webhook = dispute_about("dp_same")?.edited(|dispute| dispute["id"] = event.into());
            effects.extend(deliver_until_taken(&self.stack, &webhook).await?);
        }
        let slow = Behaviour::apply().with_hook(taking(VERY_SLOW));
        self.third_party.script(TICKETS, [slow]);
        let run = pin!(self.run());
        let asked = async {
            self.third_party.until(PATIENCE, |ledger| !ledger.attempts().is_empty()).await?;
            self.ask_for_stream().await
        };
        match select(run, pin!(asked)).await {
            // It has been killed before any call.
            Either::Left(_) => {}
            Either::Right((asked, run)) => {
                asked?;
                run.await;
            }
        }
        Ok((effects, struck))
    }
}

fn taking(time: Duration) -> Hook {
    Hook::new(move || tokio::time::sleep(time))
}

/// The webhook with input that is too large for the broker.
fn large(webhook: Webhook) -> Webhook {
    webhook.edited(|event| event["data"]["object"]["reason"] = "a long story ".repeat(3_000).into())
}
