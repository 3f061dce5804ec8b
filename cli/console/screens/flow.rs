//! Flow: the configuration as a picture: sources, their steps, and the hosts that these call, with the last hour's counts.

use std::collections::BTreeMap;

use anyhow::Result;
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    super::{App, glance::Recent, screen::Screen},
    picture::{CLIENTS, Picture},
};
use crate::effect::{origin, state};

/// The page; its URL has no parameters.
#[derive(Debug, Deserialize)]
pub(super) struct Flow {}

impl Screen for Flow {
    const NAME: &'static str = "Flow";

    fn still(&self, _app: &App) -> Markup {
        html! { p.quiet { "What webhooks.toml says, with the effects of the last hour. Red: some of them are parked." } }
    }

    async fn live(&self, app: &App) -> Result<Markup> {
        let recent = app.glance.recent(&app.listing, app.about.every).await?;
        Ok(html! {
            div.flow { (Picture::of(&app.config).draw(&Counts::of(&recent))) }
            @if !recent.whole { p.quiet { "Counted are the newest " (recent.records.len()) " effects." } }
        })
    }
}

/// The number of effects and of parked effects, by step and by whether a client has started them.
pub(super) struct Counts<'r>(BTreeMap<(&'r str, bool), (u64, u64)>);

impl<'r> Counts<'r> {
    fn of(recent: &'r Recent) -> Self {
        let mut counts: BTreeMap<_, (u64, u64)> = BTreeMap::new();
        for record in &recent.records {
            // A step has one source. A run's name may not contain it.
            let by_client = origin(&record.run_id).0 == CLIENTS;
            let (all, parked) = counts.entry((record.step.as_str(), by_client)).or_default();
            *all += 1;
            *parked += u64::from(matches!(state(record), "parked" | "in doubt"));
        }
        Self(counts)
    }

    /// From a step's source, or from clients.
    pub(super) fn of_arrow(&self, step: &str, by_client: bool) -> (u64, u64) {
        self.0.get(&(step, by_client)).copied().unwrap_or_default()
    }

    /// Of all, at a step.
    pub(super) fn of_step(&self, step: &str) -> (u64, u64) {
        let [(all, parked), (more, also)] = [false, true].map(|by_client| self.of_arrow(step, by_client));
        (all + more, parked + also)
    }
}
