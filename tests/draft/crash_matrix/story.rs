//! The scenarios, and what must hold however they end.
//!
//! * Ingest: a webhook that finds no topic yet, and one that finds it full.
//! * Consumer: a webhook of one step, and an earlier command that has to be retried, so that claim, defer, relay, claim
//!   again, commit and ack all occur.
//! * Recovery: a consumer that works on what a dead one left behind, so that take-over, watch, look-up and park occur.

use std::{sync::Arc, time::Instant};

use anyhow::{Context, Result, ensure};
use local::{
    http::Answer,
    proxy::{Fault, Hits, Seen, Wire},
    runtime_api::Function,
    server::ANY_PORT,
    stack::Stack,
    third_party::{Behaviour, Call, ThirdParty, idempotency_key},
    webhook::Webhook,
};
use toml::toml;

use super::boundary::{Boundary, Moment, Numbering, On};
use crate::house::{PATIENCE, TICKETS, accepted, builder, config, deliver, dispute_about, park_in_doubt};

const LOOK_UP: &str = "/api/tickets/by-key";
/// A provider's deliveries of one webhook.
const DELIVERIES: usize = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scenario {
    Ingest,
    Consumer,
    Recovery,
}

impl Scenario {
    pub(crate) const ALL: [Self; 3] = [Self::Ingest, Self::Consumer, Self::Recovery];
}

/// What is done about a doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Policy {
    SameKey,
    LookUp,
    Park,
}

impl Policy {
    pub(crate) const ALL: [Self; 3] = [Self::SameKey, Self::LookUp, Self::Park];
}

/// One telling of the scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Story {
    pub(crate) scenario: Scenario,
    pub(crate) policy: Policy,
    pub(crate) death: Option<(Boundary, Moment)>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) boundaries: Vec<Boundary>,
    /// The boundary was reached, and the process killed there.
    pub(crate) died: bool,
    /// Calls that the third party recognised by their key.
    pub(crate) deduped: usize,
    pub(crate) looked_up: usize,
    pub(crate) parked: usize,
}

/// The effects there must be, and whether each wire has struck.
type Scene = (Vec<String>, Vec<Hits>);

struct House {
    story: Story,
    stack: Stack,
    third_party: ThirdParty,
    third_party_wire: Wire,
    numbering: Arc<Numbering>,
}

impl Story {
    /// Tells it, and checks that nothing was lost and nothing done twice.
    pub(crate) async fn tell(self) -> Result<Told> {
        let house = House::build(self).await?;
        let told = match self.scenario {
            Scenario::Ingest => house.ingest().await,
            Scenario::Consumer => house.consumer().await,
            Scenario::Recovery => house.recovery().await,
        };
        let (effects, struck) = told.with_context(|| house.stack.report(&[]))?;
        let boundaries = house.numbering.boundaries();
        house.stack.run_until_settled(PATIENCE).await?;
        let died = struck.iter().any(|hits| hits.count() > 0);
        house.judge(&effects, died, boundaries).await.with_context(|| house.stack.report(&[]))
    }
}

impl House {
    async fn build(story: Story) -> Result<Self> {
        let third_party = ThirdParty::start(ANY_PORT).await?;
        let third_party_wire = Wire::start(&third_party.url()).await?;
        let mut config = config()?;
        // A lease outlives its owner by more than it takes the next run to be given the message again, so that it is held.
        let times = config.table().get_mut("consumer").and_then(toml::Value::as_table_mut);
        times.context("[consumer]")?.insert("settle".into(), "3s".into());
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
                third_party.always(LOOK_UP, Behaviour::look_up());
            }
            Policy::Park => park_in_doubt(&mut config, "open_ticket"),
        }
        if story.policy != Policy::SameKey {
            third_party.forget_keys(TICKETS);
        }
        config.call(&third_party_wire.url());
        let stack = builder(config)?.start().await?;
        Ok(Self { story, stack, third_party, third_party_wire, numbering: Arc::default() })
    }

    /// Numbers everything, and kills at the boundary.
    fn watch(&self) -> Result<Vec<Hits>> {
        let function = self.function();
        let kill = function.killer().hook();
        let strike = self.story.death.map(|(boundary, moment)| (boundary, moment.fault(kill)));
        let runtime = function.wires().pop().context("no process is idle")?;
        let table = self.stack.table_wire()?;
        let wires = [
            (On::Runtime, &*runtime),
            (On::Table, table),
            (On::Broker, &*self.stack.broker_wire),
            (On::ThirdParty, &self.third_party_wire),
        ];
        let on = |on| strike.as_ref().filter(|(boundary, _)| boundary.on == on);
        Ok(wires.map(|(wire, through)| self.numbering.watch(through, wire, on(wire))).into())
    }

    fn function(&self) -> &Function {
        match self.story.scenario {
            Scenario::Ingest => &self.stack.ingest,
            Scenario::Consumer | Scenario::Recovery => &self.stack.consumer,
        }
    }

    async fn ingest(&self) -> Result<Scene> {
        let struck = self.watch()?;
        let mut effects = self.deliver(&dispute_about("dp_earlier")?).await?;
        let produce = |seen: &Seen| seen.goes_to("POST", "/v1/produce");
        self.stack.broker_wire.once(produce, Fault::Answer(Answer::partition_full()));
        effects.extend(self.deliver(&dispute_about("dp_later")?).await?);
        Ok((effects, struck))
    }

    async fn consumer(&self) -> Result<Scene> {
        let struck = self.watch()?;
        // Where a doubt can be resolved, the earlier command is in doubt; where it can't, it is refused for now.
        let first = match self.story.policy {
            Policy::SameKey | Policy::LookUp => Behaviour::refuse(500).after_applying(),
            Policy::Park => Behaviour::refuse(429),
        };
        self.third_party.script(TICKETS, [first]);
        let webhooks = [dispute_about("dp_earlier")?, dispute_about("dp_later")?];
        let mut effects = Vec::new();
        for (index, webhook) in webhooks.iter().enumerate() {
            effects.extend(deliver(&self.stack, webhook).await?);
            self.run(&webhooks[..=index]).await?;
        }
        Ok((effects, struck))
    }

    async fn recovery(&self) -> Result<Scene> {
        let kill = self.stack.consumer.killer().hook();
        self.third_party.script(TICKETS, [Behaviour::apply().with_hook(kill)]);
        let webhooks = [dispute_about("dp_once")?];
        let effects = deliver(&self.stack, &webhooks[0]).await?;
        ensure!(self.stack.run_consumer().await.is_err(), "the first consumer survived");
        deliver(&self.stack, &webhooks[0]).await?;
        self.stack.consumer.warm().await?;
        let struck = self.watch()?;
        let started = Instant::now();
        while !self.stack.unsettled().await?.is_empty() {
            ensure!(started.elapsed() < PATIENCE, "not settled after {PATIENCE:?}");
            self.run(&webhooks).await?;
        }
        Ok((effects, struck))
    }

    /// One run of the consumer. Providers deliver again whenever they like: here, when it has died, so that a copy of each
    /// webhook meets what the dead attempt has left.
    async fn run(&self, delivered: &[Webhook]) -> Result<()> {
        self.numbering.at_work(true);
        let run = self.stack.run_consumer().await;
        self.numbering.at_work(false);
        if run.is_err() {
            for webhook in delivered {
                deliver(&self.stack, webhook).await?;
            }
        }
        Ok(())
    }

    /// Delivers a webhook until it is taken, as a provider does.
    async fn deliver(&self, webhook: &Webhook) -> Result<Vec<String>> {
        for _ in 0..DELIVERIES {
            self.numbering.at_work(true);
            let answer = self.stack.deliver(webhook).await?;
            self.numbering.at_work(false);
            if answer.status < 500 {
                return accepted(&answer);
            }
        }
        anyhow::bail!("delivered {DELIVERIES} times, and never taken")
    }

    /// Never lost, never twice, never a lie.
    async fn judge(&self, effects: &[String], died: bool, boundaries: Vec<Boundary>) -> Result<Told> {
        let ledger = self.third_party.ledger();
        let applied = ledger.applied_by_key();
        let mut records = self.stack.effects().await?;
        records.sort_by(|one, other| one.effect_id.cmp(&other.effect_id));
        let ids: Vec<_> = records.iter().map(|record| &record.effect_id).collect();
        ensure!(ids.iter().copied().eq(effects), "lost: of {effects:?} there are {ids:?}");
        for record in &records {
            let times = applied.get(&idempotency_key(&record.effect_id)).copied().unwrap_or_default();
            let calls: Vec<_> = ledger.attempts().iter().map(brief).collect();
            ensure!(times <= 1, "applied {times} times: {record:?}, {calls:#?}");
            ensure!(times == 1 || !record.is_done(), "done, and never applied: {record:?}, {calls:#?}");
            ensure!(
                record.is_done()
                    || self.story.policy == Policy::Park && record.last_error().contains("in doubt"),
                "not done, and no doubt to show for it: {record:?}, {calls:#?}"
            );
        }
        Ok(Told {
            boundaries,
            died,
            deduped: ledger.deduped().len(),
            looked_up: ledger.attempts_on(LOOK_UP).len(),
            parked: records.iter().filter(|record| record.is_parked()).count(),
        })
    }
}

fn brief(call: &Call) -> String {
    format!("{} {} {} {:?} {:?}", call.at, call.method, call.path, call.key, call.fate)
}
