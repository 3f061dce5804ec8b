//! Parked: the parked effects, grouped by step and reason.

use anyhow::Result;
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::super::{
    App,
    screen::Screen,
    show::{badge, number, relative, to},
};
use crate::groups::Group;

/// The page; its URL has no parameters.
#[derive(Debug, Deserialize)]
pub(super) struct Parked {}

impl Screen for Parked {
    const NAME: &'static str = "Parked";

    fn still(&self, app: &App) -> Markup {
        app.decisions.links()
    }

    async fn live(&self, app: &App) -> Result<Markup> {
        let seen = app.glance.groups(&app.listing, app.about.every).await?;
        let (groups, now) = (&seen.groups, Timestamp::now());
        let total = groups.iter().map(|group| group.count).sum();
        Ok(html! {
            @if groups.is_empty() {
                p.empty { "Nothing is parked." }
            } @else {
                table {
                    caption {
                        @if seen.more { "Of the " (number(total)) " that have been parked longest" } @else { (number(total)) " parked" }
                        ", the largest groups first"
                    }
                    thead { tr { th { "step" } th.number { "effects" } th { "state" } th { "reason" } th { "parked since" } th { "last" } th {} } }
                    tbody { @for group in groups { (row(app, group, now)) } }
                }
            }
        })
    }
}

fn row(app: &App, group: &Group, now: Timestamp) -> Markup {
    let Group { step, why, in_doubt, count, since, last, created } = group;
    let state = if *in_doubt { "in doubt" } else { "parked" };
    let list = to("webhooks", &[("step", step), ("state", state), ("since", &created.to_string())]);
    let doubt = in_doubt.to_string();
    let plan = to("plan", &[("step", step), ("error", why), ("in_doubt", &doubt)]);
    html! {
        tr {
            td { (step) }
            td.number data-head="effects" { a href=(list) { (number(*count)) } }
            td { (badge(state)) }
            td.why { (why) }
            td data-head="parked since" { (relative(*since, now)) }
            td data-head="last" { (relative(*last, now)) }
            td { @if !app.about.read_only { a.button href=(plan) { "plan…" } } }
        }
    }
}
