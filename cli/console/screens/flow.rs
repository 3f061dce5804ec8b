//! Flow: the configuration as a picture: sources, the steps that they start, and where those call, with the last hour's counts.

use std::collections::BTreeMap;

use anyhow::Result;
use driftq_webhooks::config::Config;
use maud::{Markup, html};
use serde::Deserialize;

use super::super::{App, glance::Recent, screen::Screen, show::to};
use crate::effect::{cut, origin, state};

const ROW: usize = 56;
const BOX: usize = 36;
/// Where the three columns begin, and how wide their boxes are.
const SOURCE: (usize, usize) = (0, 170);
const STEP: (usize, usize) = (330, 220);
const HOST: (usize, usize) = (710, 250);

/// What its URL asks for: nothing.
#[derive(Debug, Deserialize)]
pub(super) struct Flow {}

impl Screen for Flow {
    const NAME: &'static str = "Flow";

    fn still(&self, _app: &App) -> Markup {
        html! { p.quiet { "What webhooks.toml says, with the effects of the last hour. Red: some of them are parked." } }
    }

    async fn live(&self, app: &App) -> Result<Markup> {
        let recent = app.glance.recent(&app.effects, app.about.every).await?;
        let picture = Picture::of(&app.config);
        Ok(html! {
            div.flow { (picture.draw(&app.config, &Counts::of(&recent))) }
            @if !recent.whole { p.quiet { "Counted are the newest " (recent.records.len()) " effects." } }
        })
    }
}

/// Effects and parked ones, by source and step.
struct Counts<'r>(BTreeMap<(&'r str, &'r str), (u64, u64)>);

impl<'r> Counts<'r> {
    fn of(recent: &'r Recent) -> Self {
        let mut counts: BTreeMap<_, (u64, u64)> = BTreeMap::new();
        for record in &recent.records {
            let (all, parked) = counts.entry((origin(&record.run_id).0, record.step.as_str())).or_default();
            *all += 1;
            *parked += u64::from(matches!(state(record), "parked" | "in doubt"));
        }
        Self(counts)
    }

    fn of_arrow(&self, source: &str, step: &str) -> (u64, u64) {
        self.0.get(&(source, step)).copied().unwrap_or_default()
    }

    fn of_step(&self, step: &str) -> (u64, u64) {
        let own = self.0.iter().filter(|((_, of), _)| *of == step);
        own.fold((0, 0), |(all, parked), (_, (more, also))| (all + more, parked + also))
    }
}

/// Which box stands in which row.
struct Picture<'c> {
    sources: Vec<&'c str>,
    hosts: Vec<String>,
}

impl<'c> Picture<'c> {
    fn of(config: &'c Config) -> Self {
        let mut hosts: Vec<String> = Vec::new();
        for host in config.steps.iter().map(|step| step.destination()) {
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        Self { sources: config.sources.keys().map(String::as_str).chain(["api"]).collect(), hosts }
    }

    fn draw(&self, config: &Config, counts: &Counts<'_>) -> Markup {
        let rows = self.sources.len().max(config.steps.len()).max(self.hosts.len());
        let (width, height) = (HOST.0 + HOST.1, rows * ROW);
        html! {
            svg viewBox=(format!("0 0 {width} {height}")) role="img" aria-label="Sources, steps and destinations" {
                @for (row, step) in config.steps.iter().enumerate() {
                    @let id = step.id.as_str();
                    @let source = step.on.as_ref().map_or("api", |on| on.source.as_str());
                    @if let Some(from) = self.sources.iter().position(|name| *name == source) {
                        (arrow((SOURCE, from), (STEP, row), counts.of_arrow(source, id), &to("webhooks", &[("source", source), ("step", id)])))
                    }
                    @if let Some(host) = self.hosts.iter().position(|host| *host == step.destination()) {
                        (arrow((STEP, row), (HOST, host), counts.of_step(id), &to("webhooks", &[("step", id)])))
                    }
                }
                @for (row, source) in self.sources.iter().enumerate() {
                    (node(SOURCE, row, source, &to("webhooks", &[("source", source)])))
                }
                @for (row, step) in config.steps.iter().enumerate() {
                    (node(STEP, row, step.id.as_str(), &to("webhooks", &[("step", step.id.as_str())])))
                }
                @for (row, host) in self.hosts.iter().enumerate() { (node(HOST, row, host, "destinations")) }
            }
        }
    }
}

fn node((x, width): (usize, usize), row: usize, name: &str, link: &str) -> Markup {
    let y = row * ROW + (ROW - BOX) / 2;
    html! {
        a href=(link) {
            rect.node x=(x) y=(y) width=(width) height=(BOX) rx="6" {}
            text.name x=(x + width / 2) y=(y + BOX / 2 + 5) text-anchor="middle" { (cut(name, width / 9)) title { (name) } }
        }
    }
}

/// From the right side of one box to the left side of another, with its count.
fn arrow(
    ((from_x, from_width), from_row): ((usize, usize), usize),
    ((to_x, _), to_row): ((usize, usize), usize),
    (count, parked): (u64, u64),
    link: &str,
) -> Markup {
    let middle = |row: usize| row * ROW + ROW / 2;
    let (x, y, end_x, end_y) = (from_x + from_width, middle(from_row), to_x, middle(to_row));
    let half = (x + end_x) / 2;
    let path = format!("M{x} {y} C{half} {y} {half} {end_y} {} {end_y}", end_x - 8);
    let tip = format!("M{end_x} {end_y}l-9 -4v8z");
    html! {
        g.arrow.bad[parked > 0] {
            path.line d=(path) {}
            path.tip d=(tip) {}
            @if count > 0 {
                a href=(link) {
                    text.count x=(end_x - 16) y=(end_y - 6) text-anchor="end" {
                        (count) @if parked > 0 { ", " (parked) " parked" }
                    }
                }
            }
        }
    }
}
