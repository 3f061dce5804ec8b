//! Webhooks: the runs, the newest first, one row per run.

use anyhow::{Context, Result, anyhow};
use driftq_webhooks::effects::record::Record;
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};
use serde::Deserialize;

use super::super::{
    App,
    screen::Screen,
    show::{clock, said, standing, to},
};
use crate::{
    effect::{STATES, cut, origin},
    find,
    moment::Moment,
    which::Which,
};

/// The number of effects per page.
const SHOWN: usize = 100;
/// The number of effects that are read for a page. If few of them match the filter, the page shows fewer, and a link to the next.
const READ: usize = 2_000;
const HOUR: &str = "1h";

/// The parameters of its URL.
#[derive(Debug, Deserialize)]
pub(super) struct Webhooks {
    #[serde(default, deserialize_with = "said")]
    source: Option<String>,
    #[serde(default, deserialize_with = "said")]
    step: Option<String>,
    #[serde(default, deserialize_with = "said")]
    state: Option<String>,
    #[serde(default, deserialize_with = "said")]
    key: Option<String>,
    #[serde(default, deserialize_with = "said")]
    event: Option<String>,
    /// The start of the period: a time, or how long ago.
    #[serde(default, deserialize_with = "said")]
    since: Option<String>,
    /// The end of the period: a time.
    #[serde(default, deserialize_with = "said")]
    until: Option<String>,
    /// How many effects of the last millisecond before `until` earlier pages have read.
    #[serde(default)]
    skip: usize,
}

/// One page of effects.
struct Page {
    /// The effects, grouped by run.
    runs: Vec<Vec<Record>>,
    read: usize,
    /// The start of the next page, if there may be one.
    next: Option<(Timestamp, usize)>,
}

impl Screen for Webhooks {
    const NAME: &'static str = "Webhooks";

    fn still(&self, app: &App) -> Markup {
        let steps: Vec<_> = app.config.steps.iter().map(|step| step.id.to_string()).collect();
        let states = STATES.map(str::to_owned);
        let spans = ["10m", "1h", "6h", "24h", "7d"].map(str::to_owned);
        html! {
            form.filter action="webhooks" {
                (choice("source", "every source", &find::of_config(&app.config), self.source.as_deref()))
                (choice("step", "every step", &steps, self.step.as_deref()))
                (choice("state", "every state", &states, self.state.as_deref()))
                (choice("since", "the last hour", &spans, self.since.as_deref()))
                input name="key" placeholder="business key" aria-label="Business key" value=[self.key.as_deref()];
                input name="event" placeholder="event id" aria-label="Event id" value=[self.event.as_deref()];
                button { "Filter" }
                @if self.is_filtered() { a href="webhooks" { "all" } }
            }
        }
    }

    async fn live(&self, app: &App) -> Result<Markup> {
        let page = self.page(app).await?;
        Ok(html! {
            @if page.runs.is_empty() {
                p.empty { "None of the " (page.read) " effects of that time fits." }
            } @else {
                ol.runs { @for run in &page.runs { (row(run)) } }
            }
            @if let Some((before, skip)) = page.next {
                p { a rel="next" href=(self.older(before, skip)) { "older" } }
            }
        })
    }
}

impl Webhooks {
    fn is_filtered(&self) -> bool {
        let said = [&self.source, &self.step, &self.state, &self.key, &self.event, &self.since, &self.until];
        said.iter().any(|field| field.is_some())
    }

    fn which(&self) -> Which {
        let Self { source, step, state, key, event, .. } = self;
        Which {
            source: source.clone(),
            step: step.clone(),
            state: state.clone(),
            key: key.clone(),
            event: event.clone(),
        }
    }

    async fn page(&self, app: &App) -> Result<Page> {
        let moment = |text: &str| -> Result<Timestamp> {
            text.parse::<Moment>().map(|moment| moment.0).map_err(|why| anyhow!("{text:?}: {why}"))
        };
        let since = moment(self.since.as_deref().unwrap_or(HOUR)).context("since")?;
        // A little ahead, because other machines' clocks may be ahead.
        let ahead = Timestamp::now() + SignedDuration::from_secs(5);
        let until = self.until.as_deref().map(moment).transpose().context("until")?.unwrap_or(ahead);
        let (which, mut recent) = (self.which(), app.listing.recent(since, until));
        let (mut shown, mut page) = (0, Page { runs: Vec::new(), read: 0, next: None });
        let (mut last, mut skip) = (until, self.skip);
        let mut at_last = 0;
        while let Some(record) = recent.next().await? {
            at_last = if record.created_at == last { at_last + 1 } else { 1 };
            last = record.created_at;
            if skip > 0 {
                skip -= 1;
                continue;
            }
            page.read += 1;
            if which.fits(&record) {
                shown += 1;
                page.add(record);
            }
            if shown == SHOWN || page.read == READ {
                page.next = Some((last, at_last));
                break;
            }
        }
        Ok(page)
    }

    /// The next page begins in the millisecond in which this one ends, and skips what this one has shown.
    fn older(&self, last: Timestamp, skip: usize) -> String {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        let until = (last + SignedDuration::from_millis(1)).to_string();
        let since = self.since.as_deref().unwrap_or(HOUR).parse::<Moment>();
        let since = since.map(|since| since.0.to_string()).unwrap_or_default();
        let fields = [
            ("source", text(&self.source)),
            ("step", text(&self.step)),
            ("state", text(&self.state)),
            ("key", text(&self.key)),
            ("event", text(&self.event)),
            ("since", since),
            ("until", until),
            ("skip", skip.to_string()),
        ];
        to("webhooks", &fields.each_ref().map(|(name, value)| (*name, value.as_str())))
    }
}

impl Page {
    fn add(&mut self, record: Record) {
        match self.runs.iter_mut().find(|run| run[0].run_id == record.run_id) {
            Some(run) => run.push(record),
            None => self.runs.push(vec![record]),
        }
    }
}

/// A run: its time, source and event, and the state of each effect.
fn row(run: &[Record]) -> Markup {
    // A run that is named by a business fact has no source in its name.
    let (source, event) =
        Some(origin(&run[0].run_id)).filter(|(_, event)| !event.is_empty()).unwrap_or(("", &run[0].run_id));
    let link = to("run", &[("id", &run[0].run_id)]);
    html! {
        li {
            span.when { (clock(run[0].created_at)) }
            span.source { (source) }
            a.event href=(link) { (event) }
            ul.effects {
                @for record in run.iter().rev() {
                    li {
                        strong { (record.step) } " " (standing(record))
                        span.key { (record.business_key) }
                        @if record.attempt > 1 { span.tries { (record.attempt) " tries" } }
                        @if let Some(why) = record.last_error.as_deref().filter(|_| !record.status.is_over()) {
                            span.why title=(why) { (cut(why, 80)) }
                        }
                    }
                }
            }
        }
    }
}

fn choice(name: &str, none: &str, all: &[String], chosen: Option<&str>) -> Markup {
    let other = chosen.filter(|chosen| !all.iter().any(|one| one == chosen));
    html! {
        select name=(name) aria-label=(name) {
            option value="" { (none) }
            @for one in all.iter().map(String::as_str).chain(other) {
                option value=(one) selected[chosen == Some(one)] { (one) }
            }
        }
    }
}
