//! Flow: the configuration as a picture: sources, their steps, and the hosts that these call, with the last hour's counts.

use anyhow::Result;
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    super::{App, screen::Screen},
    counts::Counts,
    picture::Picture,
};

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
