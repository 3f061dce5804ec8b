//! The stage of a story: a stack of its own, and wires on which everything is numbered.

use std::sync::Arc;

use anyhow::{Context, Result};
use local::{
    config::Config,
    proxy::{Hits, Wire},
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
use crate::house::{TICKETS, builder, config, deliver_until_taken, park_in_doubt, table};

pub(super) const LOOK_UP: &str = "/api/tickets/by-key";

/// A stack, and wires on which everything is numbered.
pub(super) struct Scene {
    pub(super) story: Story,
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
        let stack = builder(config)?.start().await?;
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

    /// One run of the consumer, to its end or its death.
    pub(super) async fn run(&self) {
        self.numbering.at_work(true);
        drop(self.stack.run_consumer().await);
        self.numbering.at_work(false);
    }

    /// A provider's deliveries of one webhook to ingest, until it is taken.
    pub(super) async fn deliver(&self, webhook: &Webhook) -> Result<Vec<String>> {
        self.numbering.at_work(true);
        let effects = deliver_until_taken(&self.stack, webhook).await;
        self.numbering.at_work(false);
        effects
    }

    /// From now on everything is numbered, and the process killed at the story's boundary.
    pub(super) fn watch(&self) -> Result<Vec<Hits>> {
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
    if story.scenario == Scenario::Consumer {
        // What the broker loses need not be waited for so long.
        times.insert("journal_grace".into(), "1s".into());
        times.insert("slow_call".into(), "250ms".into());
    }
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
