//! The setup of one run: its own stack, and fault proxies that number all requests.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::{Context, Result};
use local::{
    broker::Profile,
    proxy::{FaultProxy, Hits},
    runtime_api::Function,
    server::ANY_PORT,
    stack::Stack,
    third_party::{Behaviour, ThirdParty},
    webhook::Webhook,
};

use super::{
    boundary::{Boundary, On},
    config::{self, TABLE},
    numbering::Numbering,
    story::{Policy, Scenario, Story},
};
use crate::setup::{TICKETS, builder, counted, deliver_until_taken};

pub(super) const LOOK_UP: &str = "/api/tickets/by-key";

/// A stack, and fault proxies that number all requests.
pub(super) struct Scene {
    pub(super) story: Story,
    pub(super) stack: Stack,
    pub(super) third_party: ThirdParty,
    pub(super) third_party_proxy: FaultProxy,
    numbering: Arc<Numbering>,
}

impl Scene {
    pub(super) async fn set(story: Story) -> Result<Self> {
        let third_party = ThirdParty::start(ANY_PORT).await?;
        let third_party_proxy = FaultProxy::start(&third_party.url()).await?;
        if story.policy != Policy::SameKey {
            third_party.forget_keys(TICKETS);
        }
        third_party.always(LOOK_UP, Behaviour::look_up());
        let builder = builder(config::of(story, &third_party_proxy.url())?)?;
        let stack = match story.scenario {
            Scenario::Ingest => builder.wake_ups(),
            Scenario::Journal | Scenario::Consumer | Scenario::Recovery | Scenario::Chain => builder,
            Scenario::Newer => builder.broker_profile(Profile::G3),
        };
        // The story itself checks what is left, and a story that failed is one row of the table: no panic at
        // a drop.
        let stack = stack.must_settle(false).start().await?;
        // Only the scenario Chain writes to this table, but every scenario reads it.
        stack.table()?.make_table(TABLE, &["id".to_owned()]).await?;
        Ok(Self { story, stack, third_party, third_party_proxy, numbering: Arc::default() })
    }

    /// Returns the expected effects, and whether the process was killed.
    pub(super) async fn play(&self) -> Result<(Vec<String>, bool)> {
        let (mut effects, struck) = match self.story.scenario {
            Scenario::Ingest => self.ingest().await,
            Scenario::Journal => self.journal().await,
            Scenario::Consumer => self.consumer().await,
            Scenario::Recovery => self.recovery().await,
            Scenario::Newer => self.newer().await,
            Scenario::Chain => self.chain().await,
        }?;
        effects.sort();
        // Requests of the runs that settle the rest are not numbered.
        self.numbering.end();
        Ok((effects, struck.iter().any(|hits| hits.count() > 0)))
    }

    /// How often the step that writes an item has done so, by business key.
    pub(super) async fn counted(&self) -> Result<BTreeMap<String, String>> {
        counted(&self.stack, TABLE).await
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

    /// Delivers one webhook to ingest until it is accepted, as a provider does.
    pub(super) async fn deliver(&self, webhook: &Webhook) -> Result<Vec<String>> {
        self.numbering.at_work(true);
        let effects = deliver_until_taken(&self.stack, webhook).await;
        self.numbering.at_work(false);
        effects
    }

    /// From now on every request is numbered, and the process is killed at the run's boundary.
    pub(super) fn watch(&self) -> Result<Vec<Hits>> {
        let function = self.function();
        let kill = function.killer().hook();
        let strike = self.story.death.map(|(boundary, moment)| (boundary, moment.fault(kill)));
        let runtime = function.proxies().pop().context("no process is idle")?;
        let lambda = self.stack.lambda.as_ref().map(|lambda| (On::Lambda, &lambda.proxy));
        let proxies = [
            (On::Runtime, &*runtime),
            (On::Table, self.stack.table_proxy()?),
            (On::Broker, &*self.stack.broker_proxy),
            (On::ThirdParty, &self.third_party_proxy),
        ];
        let on = |on| strike.as_ref().filter(|(boundary, _)| boundary.on == on);
        let watch = |(proxy, through)| self.numbering.watch(through, proxy, on(proxy));
        Ok(proxies.into_iter().chain(lambda).map(watch).collect())
    }

    fn function(&self) -> &Function {
        match self.story.scenario {
            Scenario::Ingest | Scenario::Journal => &self.stack.ingest,
            Scenario::Consumer | Scenario::Recovery | Scenario::Newer | Scenario::Chain => {
                &self.stack.consumer
            }
        }
    }
}
