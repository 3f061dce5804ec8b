//! The scenarios.
//!
//! * Ingest: webhooks that find no topic yet, a full one, and one whose input is too large for the broker.
//! * Journal: with `journal = true`, a webhook that the broker takes and one that it does not.
//! * Consumer: an earlier command that has to be retried and a later one with large input, so that claim, defer, relay,
//!   claim again, check out, commit, discard and ack all occur.
//! * Recovery: a consumer that works on what a dead one has left behind, so that watch, take-over, look-up and park occur.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use local::{
    config::Config,
    http::Answer,
    proxy::{Fault, Hits, Seen, Wire},
    runtime_api::Function,
    server::ANY_PORT,
    stack::Stack,
    third_party::{Behaviour, ThirdParty},
    webhook::Webhook,
};
use toml::toml;

use super::{
    boundary::{Boundary, On},
    numbering::Numbering,
    story::{Policy, Scenario, Story},
};
use crate::house::{TICKETS, builder, config, deliver_until_taken, dispute_about, park_in_doubt, table};

/// A certificate.
const NOBODY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/crash_matrix/nobody.pem");
pub(super) const LOOK_UP: &str = "/api/tickets/by-key";
/// A consumer that finds nothing, on a busy machine.
const EMPTY_RUNS: usize = 10;

/// A stack, and wires on which everything is numbered.
pub(super) struct Scene {
    story: Story,
    pub(super) stack: Stack,
    pub(super) third_party: ThirdParty,
    third_party_wire: Wire,
    numbering: Arc<Numbering>,
}

impl Scene {
    pub(super) async fn set(story: Story) -> Result<Self> {
        let third_party = ThirdParty::start(ANY_PORT).await?;
        let third_party_wire = Wire::start(&third_party.url()).await?;
        if story.policy != Policy::SameKey {
            third_party.forget_keys(TICKETS);
        }
        third_party.always(LOOK_UP, Behaviour::look_up());
        let mut config = config_of(story)?;
        config.call(&third_party_wire.url());
        // The system's certificates are half of what a start costs here, and there are thousands. Nothing is TLS.
        let stack = builder(config)?.env("SSL_CERT_FILE", NOBODY).start().await?;
        Ok(Self { story, stack, third_party, third_party_wire, numbering: Arc::default() })
    }

    /// Gives the effects that there must be, and whether the process was killed.
    pub(super) async fn play(&self) -> Result<(Vec<String>, bool)> {
        let (mut effects, struck) = match self.story.scenario {
            Scenario::Ingest => self.ingest().await,
            Scenario::Journal => self.journal().await,
            Scenario::Consumer => self.consumer().await,
            Scenario::Recovery => self.recovery().await,
        }?;
        effects.sort();
        // Not those of the runs that settle what is left.
        self.numbering.end();
        Ok((effects, struck.iter().any(|hits| hits.count() > 0)))
    }

    pub(super) fn boundaries(&self) -> Vec<Boundary> {
        self.numbering.boundaries()
    }

    async fn ingest(&self) -> Result<(Vec<String>, Vec<Hits>)> {
        let struck = self.watch()?;
        let mut effects = self.deliver(&dispute_about("dp_first")?).await?;
        effects.extend(self.deliver(&large(dispute_about("dp_large")?)).await?);
        self.fill_broker_once();
        effects.extend(self.deliver(&dispute_about("dp_refused")?).await?);
        Ok((effects, struck))
    }

    async fn journal(&self) -> Result<(Vec<String>, Vec<Hits>)> {
        let mut effects = deliver_until_taken(&self.stack, &dispute_about("dp_first")?).await?;
        let struck = self.watch()?;
        effects.extend(self.deliver(&dispute_about("dp_taken")?).await?);
        self.fill_broker_once();
        effects.extend(self.deliver(&dispute_about("dp_refused")?).await?);
        Ok((effects, struck))
    }

    fn fill_broker_once(&self) {
        let produce = |seen: &Seen| seen.goes_to("POST", "/v1/produce");
        self.stack.broker_wire.once(produce, Fault::Answer(Answer::partition_full()));
    }

    async fn consumer(&self) -> Result<(Vec<String>, Vec<Hits>)> {
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
        self.run().await;
        Ok((effects, struck))
    }

    async fn recovery(&self) -> Result<(Vec<String>, Vec<Hits>)> {
        let kill = self.stack.consumer.killer().hook();
        self.third_party.script(TICKETS, [Behaviour::apply().with_hook(kill)]);
        let webhook = dispute_about("dp_once")?;
        let effects = deliver_until_taken(&self.stack, &webhook).await?;
        let mut runs = 0;
        while self.stack.run_consumer().await.is_ok() {
            runs += 1;
            ensure!(runs < EMPTY_RUNS, "the first consumer survived");
        }
        // A copy comes at once, and finds the effect held; its original comes back later.
        deliver_until_taken(&self.stack, &webhook).await?;
        self.stack.consumer.warm().await?;
        let struck = self.watch()?;
        self.run().await;
        self.until_lease_is_over().await?;
        self.run().await;
        Ok((effects, struck))
    }

    /// The lease of the attempt that has died.
    async fn until_lease_is_over(&self) -> Result<()> {
        for effect in self.stack.effects().await? {
            let until = effect.record["lease_until"].as_i64().unwrap_or_default();
            let left = Timestamp::from_millisecond(until)?.duration_since(Timestamp::now());
            tokio::time::sleep(left.try_into().unwrap_or_default()).await;
        }
        Ok(())
    }

    /// One run of the consumer, to its end or its death.
    async fn run(&self) {
        self.numbering.at_work(true);
        drop(self.stack.run_consumer().await);
        self.numbering.at_work(false);
    }

    /// A provider's deliveries of one webhook to ingest, until it is taken.
    async fn deliver(&self, webhook: &Webhook) -> Result<Vec<String>> {
        self.numbering.at_work(true);
        let effects = deliver_until_taken(&self.stack, webhook).await;
        self.numbering.at_work(false);
        effects
    }

    /// From now on everything is numbered, and the process killed at the story's boundary.
    fn watch(&self) -> Result<Vec<Hits>> {
        let function = self.function();
        let kill = function.killer().hook();
        let strike = self.story.death.map(|(boundary, moment)| (boundary, moment.fault(kill)));
        let runtime = function.wires().pop().context("no process is idle")?;
        let wires = [
            (On::Runtime, &*runtime),
            (On::Table, self.stack.table_wire()?),
            (On::Broker, &*self.stack.broker_wire),
            (On::ThirdParty, &self.third_party_wire),
        ];
        let on = |on| strike.as_ref().filter(|(boundary, _)| boundary.on == on);
        Ok(wires.map(|(wire, through)| self.numbering.watch(through, wire, on(wire))).into())
    }

    fn function(&self) -> &Function {
        match self.story.scenario {
            Scenario::Ingest | Scenario::Journal => &self.stack.ingest,
            Scenario::Consumer | Scenario::Recovery => &self.stack.consumer,
        }
    }
}

fn config_of(story: Story) -> Result<Config> {
    let mut config = config()?;
    if story.scenario == Scenario::Journal {
        config.table().insert("journal".into(), true.into());
    }
    let times = table(config.table(), "consumer");
    // So many stories side by side keep a machine busy, and a run's lease must outlast the pauses.
    times.insert("stream_lease".into(), "2s".into());
    if story.scenario == Scenario::Recovery {
        // The dead one's lease outlasts its successor's wait for the message, so that the effect is found held.
        times.insert("settle".into(), "4s".into());
    }
    match story.policy {
        Policy::SameKey => {}
        Policy::LookUp => {
            let policy = toml! {
                policy = "look-up"
                url = "https://tickets.example.com/api/tickets/by-key?key={{ idempotency_key }}"
                timeout = "1s"
                found = "response.status == 200"
                not_found = "response.status == 404"
            };
            config.step("open_ticket").insert("in_doubt".into(), policy.into());
        }
        Policy::Park => park_in_doubt(&mut config, "open_ticket"),
    }
    Ok(config)
}

/// With input that is too large for the broker.
fn large(webhook: Webhook) -> Webhook {
    webhook.edited(|event| event["data"]["object"]["reason"] = "a long story ".repeat(3_000).into())
}
