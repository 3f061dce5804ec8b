//! Now: current work, waiting effects and their age, and the latest failures.

use std::collections::BTreeMap;

use anyhow::Result;
use driftq_webhooks::effects::{
    record::Record,
    runs::{ConsumerRun, Stands},
};
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    super::{
        App,
        chart::{Chart, chart},
        glance::{Recent, WAITING},
        screen::Screen,
        show::{clock, length, number, relative, to},
    },
    destinations,
};
use crate::effect::{cut, state};

/// The number of failures that are shown.
const FAILURES: usize = 10;
/// A running consumer writes its record once per minute. If there is none for this time, it has died.
const SILENT: SignedDuration = SignedDuration::from_mins(3);

/// The page; its URL has no parameters.
#[derive(Debug, Deserialize)]
pub(super) struct Now {}

impl Screen for Now {
    const NAME: &'static str = "Now";

    fn still(&self, _app: &App) -> Markup {
        html! {}
    }

    async fn live(&self, app: &App) -> Result<Markup> {
        let (now, every) = (Timestamp::now(), app.about.every);
        let runs = app.glance.runs(&app.run_log, every).await?;
        let recent = app.glance.recent(&app.listing, every).await?;
        let chart = |what: fn(&ConsumerRun) -> u64| Chart::of(&runs, what, now);
        let (done, put_off) = (chart(|run| run.counts.done), chart(|run| run.counts.deferred));
        Ok(html! {
            (figures(app, &runs, &done, now).await?)
            div.charts {
                (self::chart("done", &done, "done"))
                (self::chart("put off", &put_off, "waiting"))
            }
            h2 { "Consumer" }
            (consumer(&runs, now))
            h2 { "Destinations" }
            (destinations::table(app, now).await?)
            h2 { "Last failures" }
            (failures(&recent))
        })
    }
}

/// Each number is a link to what it counts.
async fn figures(app: &App, runs: &[ConsumerRun], done: &Chart, now: Timestamp) -> Result<Markup> {
    let lanes = app.glance.lanes(&app.listing, app.about.every).await?;
    let waiting = lanes.iter().map(|(_, waiting)| waiting.count).sum();
    let is_more = lanes.iter().any(|(_, waiting)| waiting.count >= u64::from(WAITING));
    let overdue = lanes.iter().filter_map(|(_, waiting)| waiting.oldest).filter(|due| *due <= now).min();
    let parked = app.glance.parked(&app.listing, app.about.every).await?;
    let (rate, unit) = done.rate();
    let latency = runs.iter().find_map(|run| run.received_to_call);
    Ok(html! {
        ul.figures {
            li { a href=(to("webhooks", &[("state", "done")])) { (rate) } " done a " (unit) }
            li { a href=(to("webhooks", &[("state", "waiting"), ("since", "7d")])) { (number(waiting)) @if is_more { "+" } } " wait" }
            li.bad[parked.all > 0] {
                a href="parked" { (number(parked.all)) @if parked.more { "+" } } " parked"
                @if parked.in_doubt > 0 {
                    ", "
                    a href=(to("webhooks", &[("state", "in doubt"), ("since", "7d")])) { (number(parked.in_doubt)) @if parked.more { "+" } }
                    " in doubt"
                }
            }
            li { @match overdue {
                Some(since) => { "the oldest is due since " strong { (length(now.duration_since(since))) } },
                None => "nothing is overdue",
            } }
            @if let Some(latency) = latency {
                li { "webhook to call p50 " strong { (number(latency.p50_ms)) " ms" } ", p99 " strong { (number(latency.p99_ms)) " ms" } }
            }
        }
    })
}

/// The last run, and the streams it reads.
fn consumer(runs: &[ConsumerRun], now: Timestamp) -> Markup {
    let Some(run) = runs.first() else {
        return html! { p.empty { "No run within the last hour is on record." } };
    };
    let took = run.written_at.duration_since(run.began_at);
    let is_silent = run.outcome.is_none() && now.duration_since(run.written_at) > SILENT;
    html! {
        p {
            @match run.outcome {
                Some(outcome) => { (outcome.as_str()) " " (relative(run.written_at, now)) " after " (length(took)) },
                None if is_silent => { strong.bad { "no update" } " since " (relative(run.written_at, now)) },
                None => { "running since " (relative(run.began_at, now)) },
            }
            ": " (number(run.counts.received)) " received, " (number(run.counts.from_agenda)) " from the agenda, "
            (number(run.counts.done)) " done, " (number(run.counts.deferred)) " put off, " (number(run.counts.parked)) " parked"
        }
        @if let Some(error) = &run.error { p.problem { (error) } }
        ul { @for stream in &run.streams {
            li { (stream.broker) " " @match stream.stands {
                Stands::Reading => "is being read",
                Stands::Drained => "drained",
                Stands::Busy => "read by another consumer",
                Stands::Unreachable { since } => { strong.bad { "unreachable" } " since " (relative(since, now)) },
                Stands::NoLease => { strong.bad { "stream lease lost" } },
            } }
        } }
    }
}

/// Effects that wait or are parked, by step and reason, the newest first.
fn failures(recent: &Recent) -> Markup {
    let mut groups: BTreeMap<(&str, &str, &str), (&Record, u64)> = BTreeMap::new();
    for record in recent.records.iter().filter(|record| !record.status.is_over()) {
        if let Some(why) = &record.last_error {
            groups.entry((&record.step, state(record), why)).or_insert((record, 0)).1 += 1;
        }
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, (record, _))| std::cmp::Reverse(record.updated_at));
    html! {
        @if groups.is_empty() { p.empty { "None of the last hour's effects has failed and waits." } }
        @else {
            table { thead { tr { th { "last" } th { "step" } th { "state" } th.number { "effects" } th { "reason" } } } tbody { @for ((step, state, why), (record, count)) in groups.iter().take(FAILURES) {
                tr {
                    td { (clock(record.updated_at)) }
                    td { (step) }
                    td { (super::super::show::badge(state)) }
                    td.number { a href=(to("webhooks", &[("step", step), ("state", state)])) { (number(*count)) } }
                    td.why { (cut(why, 120)) }
                }
            } } }
            @if !recent.whole { p.quiet { "Of the newest " (recent.records.len()) " effects." } }
        }
    }
}
