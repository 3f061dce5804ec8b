//! Destinations: each third party, its limits, and whether it is called.

use std::collections::BTreeMap;

use anyhow::Result;
use driftq_webhooks::{
    config::Config,
    effects::runs::{Breaker, ConsumerRun, DestinationState},
};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::super::{
    App,
    screen::Screen,
    show::{number, relative, to},
};

/// The page; its URL has no parameters.
#[derive(Debug, Deserialize)]
pub(super) struct List {}

impl Screen for List {
    const NAME: &'static str = "Destinations";

    fn still(&self, _app: &App) -> Markup {
        html! { p.quiet { "As the consumer's last run saw them. What is put off for later stands on the agenda, and waits there." } }
    }

    async fn live(&self, app: &App) -> Result<Markup> {
        table(app, Timestamp::now()).await
    }
}

/// The steps that call each host, and hosts of the last run that webhooks.toml does not name: under `up`, the local third party
/// replaces all hosts.
fn callers<'c>(config: &'c Config, run: Option<&ConsumerRun>) -> BTreeMap<String, Vec<&'c str>> {
    let mut callers: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for step in &config.steps {
        callers.entry(step.destination()).or_default().push(step.id.as_str());
    }
    for one in run.into_iter().flat_map(|run| &run.destinations) {
        callers.entry(one.host.clone()).or_default();
    }
    callers
}

/// The table, with one row per destination.
pub(super) async fn table(app: &App, now: Timestamp) -> Result<Markup> {
    let runs = app.glance.runs(&app.run_log, app.about.every).await?;
    let lanes = app.glance.lanes(&app.listing, app.about.every).await?;
    let seen: BTreeMap<_, _> =
        runs.first().into_iter().flat_map(|run| &run.destinations).map(|one| (&one.host, one)).collect();
    let waiting =
        |step: &str| lanes.iter().find(|(lane, _)| lane == step).map_or(0, |(_, waiting)| waiting.count);
    Ok(html! {
        table {
            thead { tr { th { "host" } th.number { "in flight" } th { "calls" } th { "rate" } th { "steps, and what waits" } } }
            tbody {
                @for (host, steps) in callers(&app.config, runs.first()) {
                    @let limits = app.config.destinations.get(&host).cloned().unwrap_or_default();
                    @let one = seen.get(&host);
                    tr {
                        td { (host) }
                        td.number data-head="in flight" { (one.map_or(0, |one| one.in_flight)) "/" (limits.in_flight) }
                        td data-head="calls" { (standing(one.copied(), now)) }
                        td data-head="rate" { @match limits.rate { Some(rate) => { (rate.per_second) "/s" }, None => "as fast as it can" } }
                        td {
                            @if steps.is_empty() { span.quiet { "not in webhooks.toml" } }
                            @for step in steps {
                            span.caller {
                                (step) " "
                                a href=(to("webhooks", &[("step", step), ("state", "waiting"), ("since", "7d")])) { (number(waiting(step))) }
                            }
                        } }
                    }
                }
            }
        }
    })
}

fn standing(seen: Option<&DestinationState>, now: Timestamp) -> Markup {
    let Some(seen) = seen else { return html! { span.quiet { "not seen in the last hour" } } };
    let pause = seen.paused_until.filter(|until| *until > now);
    html! {
        @match seen.breaker {
            Breaker::Closed => span { "made" },
            Breaker::Open { since, until } => span.bad {
                strong { "stopped" } " since " (relative(since, now)) @if until > now { ", probed " (relative(until, now)) }
            },
            Breaker::Probing { since } => span.bad { strong { "stopped" } " since " (relative(since, now)) ", being probed" },
        }
        @if let Some(until) = pause { ", asked for a pause that ends " (relative(until, now)) }
        @if seen.waiting > 0 { ", " (number(seen.waiting)) " wait for a place" }
    }
}
