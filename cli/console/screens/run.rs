//! Run: the history of one webhook, effect by effect, from its arrival to the receipt.

use std::{collections::BTreeSet, sync::Arc};

use anyhow::Result;
use driftq_webhooks::{
    command::{Command, Payload},
    effect_id::{EffectId, StepId},
    effects::{
        record::{AttemptEnd, Record, Status},
        standing::{Standing, StepStanding},
    },
};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::super::{
    App,
    screen::Screen,
    show::{badge, clock, id, relative, standing, to},
};
use crate::request::{Calls, Shown};

/// The parameters of its URL.
#[derive(Debug, Deserialize)]
pub(super) struct Run {
    /// The run id.
    id: String,
    /// The effect whose request is shown.
    #[serde(default)]
    request: String,
}

impl Screen for Run {
    const NAME: &'static str = "Run";

    fn still(&self, _app: &App) -> Markup {
        html! { p { (id(&self.id)) } }
    }

    async fn live(&self, app: &App) -> Result<Markup> {
        let records = app.listing.run(&self.id).await?;
        let now = Timestamp::now();
        let asked = records.iter().find(|record| record.effect_id == self.request);
        let request = match asked {
            Some(record) => Some(request(app, record).await),
            None => None,
        };
        let standing = Standing::of(&records, |step| before(app, step));
        Ok(html! {
            @if records.is_empty() { p.empty { "Nothing is on record of this run." } }
            @for step in &standing.steps {
                @match records.iter().find(|record| record.effect_id == step.effect_id) {
                    Some(record) => (effect(app, record, request.as_ref().filter(|_| record.effect_id == self.request), now)),
                    None => (not_begun(step)),
                }
            }
        })
    }
}

/// The predecessors of a step.
fn before(app: &App, step: &str) -> BTreeSet<StepId> {
    let after = app.config.step(step).and_then(|step| step.after.as_ref());
    after.into_iter().flat_map(|after| after.steps.iter().cloned()).collect()
}

/// A step with predecessors, which has no record before one of them is done.
fn not_begun(step: &StepStanding) -> Markup {
    let after = Vec::from_iter(step.after.iter().map(StepId::as_str)).join(" and ");
    html! {
        section.effect {
            h2 { (step.step) " " (badge(step.status)) }
            p { "It begins when " (after) " is done." }
            @for effect in &step.blocked_by { p { "Blocked by " (id(effect)) "." } }
        }
    }
}

/// The history of an effect.
fn effect(app: &App, record: &Record, request: Option<&Result<Shown, String>>, now: Timestamp) -> Markup {
    html! {
        section.effect {
            h2 { (record.step) " " (standing(record)) }
            p { (id(&record.effect_id)) }
            ol.timeline {
                li { (clock(record.created_at)) span { "created on " (record.created_at.strftime("%Y-%m-%d").to_string()) ", " (relative(record.created_at, now)) } }
                @if let Some(at) = record.recovered_at { li { (clock(at)) span { "recovered: the event had not arrived, and the provider was asked for it" } } }
                @if let Some(at) = record.first_attempt_at { li { (clock(at)) span { "claimed for the first time" } } }
                @for (index, entry) in record.history.entries.iter().enumerate() {
                    @if index > 0 && record.history.dropped > 0 && gap(record, index) {
                        li { span {} span.quiet { (record.history.dropped) " entries are not kept" } }
                    }
                    (ended(entry))
                }
                (next(record, now))
            }
            @if let Some(doubt) = &record.doubt { (in_doubt(record, doubt)) }
            @if let Some(receipt) = &record.receipt {
                dl.receipt {
                    dt { "answered" } dd { (receipt.status) }
                    @for (name, value) in &receipt.fields {
                        dt { (name) } dd { (id(&value.as_str().map_or_else(|| value.to_string(), str::to_owned))) }
                    }
                }
            }
            p.actions {
                @if record.status == Status::Parked && !app.about.read_only {
                    a.button href=(to("plan", &[("run_id", &record.run_id), ("step", &record.step)])) { "decide…" }
                }
                @if request.is_none() && is_shown_on_request(record) {
                    a href=(to("run", &[("id", &record.run_id), ("request", &record.effect_id)])) { "show request" }
                }
            }
            (shown(request))
        }
    }
}

/// Whether entries are missing before this one: only the first few and the newest are kept.
fn gap(record: &Record, index: usize) -> bool {
    let entries = &record.history.entries;
    entries[index].attempt > entries[index - 1].attempt + 1
}

fn ended(entry: &AttemptEnd) -> Markup {
    html! {
        li {
            (clock(entry.at))
            span {
                "attempt " (entry.attempt) ": " (entry.what)
                @if let Some(by) = &entry.by { " " span.quiet { "by " (by) } }
            }
        }
    }
}

/// What happens next.
fn next(record: &Record, now: Timestamp) -> Markup {
    let lease = record.lease_until.filter(|until| *until > now && record.status == Status::InProgress);
    let due = record.due_at.filter(|_| matches!(record.status, Status::Waiting | Status::Pending));
    html! {
        @if let Some(until) = lease {
            li.ahead { (clock(until)) span { "the attempt under way has until then, " (relative(until, now)) } }
        }
        @if let Some(due) = due { li.ahead { (clock(due)) span { "tried " (relative(due, now)) } } }
    }
}

/// The doubt, and how to resolve it.
fn in_doubt(record: &Record, doubt: &str) -> Markup {
    html! {
        p.doubt role="note" {
            strong { "It is not known whether this happened: " } (doubt) ". "
            "Look at the third party for " (id(&record.business_key)) " or for the idempotency key " (id(&record.effect_id)) "."
        }
    }
}

/// Whether the request can be shown: the record keeps the command, with its input, only while it may be needed again.
fn is_shown_on_request(record: &Record) -> bool {
    record.command.is_some() && record.effect_id.parse::<EffectId>().is_ok()
}

fn shown(request: Option<&Result<Shown, String>>) -> Markup {
    html! {
        @match request {
            Some(Ok(request)) => pre.request tabindex="0" { (request.lines().join("\n")) },
            Some(Err(why)) => p.problem { "This can't be shown: " (why) },
            None => {}
        }
    }
}

/// The request of the next attempt, or of the last attempt if there is no next, without secrets.
async fn request(app: &App, record: &Record) -> Result<Shown, String> {
    let command = record.command.as_deref().unwrap_or_default();
    let command: Command = serde_json::from_str(command).map_err(|error| error.to_string())?;
    let effect: EffectId = record.effect_id.parse().map_err(|_| "it is no effect".to_owned())?;
    let step = app.config.step(&record.step).ok_or("its step is not in webhooks.toml")?;
    if matches!(command.payload, Payload::ClaimCheck(_)) {
        return Err("its input is large, and kept apart".to_owned());
    }
    let calls = app.calls.get_or_try_init(|| Calls::prepare(Arc::clone(&app.config))).await;
    let calls = calls.map_err(|error| error.to_string())?;
    calls.of(step, &effect, record.attempt.max(1), &command.payload).map_err(|unfit| unfit.to_string())
}
