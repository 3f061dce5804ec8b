//! Draws the configuration, one box per row: sources on the left, then the steps that they start, then later steps, and on the
//! right the hosts and tables of the steps.

use std::collections::BTreeMap;

use driftq_webhooks::config::{Config, step::Step};
use maud::{Markup, html};

use super::{
    super::show::to,
    counts::{CLIENTS, Counts},
};
use crate::effect::cut;

const ROW: usize = 56;
const BOX: usize = 36;
/// The width of boxes, and the distance between columns.
const SOURCE: usize = 170;
const STEP: usize = 200;
const HOST: usize = 250;
const GAP: usize = 160;

/// The position of each box.
pub(super) struct Picture<'c> {
    steps: &'c [Step],
    sources: Vec<&'c str>,
    /// The length of the chain of steps before each step.
    depths: BTreeMap<&'c str, usize>,
    hosts: Vec<String>,
}

/// A position: left side, width and row.
#[derive(Clone, Copy)]
struct Place {
    x: usize,
    width: usize,
    row: usize,
}

impl<'c> Picture<'c> {
    pub(super) fn of(config: &'c Config) -> Self {
        let mut hosts: Vec<String> = Vec::new();
        for host in config.steps.iter().map(Step::destination) {
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        let sources = config.sources.keys().map(String::as_str).chain([CLIENTS]).collect();
        Self { steps: &config.steps, sources, depths: depths(&config.steps), hosts }
    }

    fn source(row: usize) -> Place {
        Place { x: 0, width: SOURCE, row }
    }

    fn step(&self, row: usize) -> Place {
        let depth = self.depths.get(self.steps[row].id.as_str()).copied().unwrap_or_default();
        Place { x: SOURCE + GAP + depth * (STEP + GAP), width: STEP, row }
    }

    fn host(&self, row: usize) -> Place {
        let columns = self.depths.values().max().map_or(1, |deepest| deepest + 1);
        Place { x: SOURCE + GAP + columns * (STEP + GAP), width: HOST, row }
    }

    pub(super) fn draw(&self, counts: &Counts<'_>) -> Markup {
        let rows = self.sources.len().max(self.steps.len()).max(self.hosts.len());
        let (width, height) = (self.host(0).x + HOST, rows * ROW);
        html! {
            svg width=(width) viewBox=(format!("0 0 {width} {height}")) role="img" aria-label="Sources, steps and destinations" {
                @for (row, step) in self.steps.iter().enumerate() { (self.arrows(row, step, counts)) }
                @for (row, source) in self.sources.iter().enumerate() {
                    (node(Self::source(row), source, &to("webhooks", &[("source", source)])))
                }
                @for (row, step) in self.steps.iter().enumerate() {
                    (node(self.step(row), step.id.as_str(), &to("webhooks", &[("step", step.id.as_str())])))
                }
                @for (row, host) in self.hosts.iter().enumerate() { (node(self.host(row), host, "destinations")) }
            }
        }
    }

    /// The arrows to a step from its source or from the steps before it, and the arrow from the step to its host or table.
    fn arrows(&self, row: usize, step: &Step, counts: &Counts<'_>) -> Markup {
        let id = step.id.as_str();
        let (own, link) = (counts.of_step(id), to("webhooks", &[("step", id)]));
        let source = step.on.as_ref().map_or(CLIENTS, |on| on.source.as_str());
        let source = Some(source).filter(|_| step.after.is_none());
        let before = step.after.iter().flat_map(|after| &after.steps);
        let before = before.filter_map(|id| self.steps.iter().position(|step| step.id == *id));
        html! {
            @if let Some((source, from)) = source.and_then(|source| Some((source, self.sources.iter().position(|name| *name == source)?))) {
                (arrow(Self::source(from), self.step(row), counts.of_arrow(id, source == CLIENTS), &link))
            }
            @for from in before { (arrow(self.step(from), self.step(row), own, &link)) }
            @if let Some(host) = self.hosts.iter().position(|host| *host == step.destination()) {
                (arrow(self.step(row), self.host(host), own, &link))
            }
        }
    }
}

/// The depth of each step. The graph has no cycle, so as many rounds as there are steps reach every step.
fn depths(steps: &[Step]) -> BTreeMap<&str, usize> {
    let mut depths: BTreeMap<&str, usize> = steps.iter().map(|step| (step.id.as_str(), 0)).collect();
    for _ in steps {
        for step in steps {
            let before = step.after.iter().flat_map(|after| &after.steps);
            let deepest = before.filter_map(|id| depths.get(id.as_str())).max();
            if let Some(deepest) = deepest.copied() {
                depths.insert(step.id.as_str(), deepest + 1);
            }
        }
    }
    depths
}

fn node(Place { x, width, row }: Place, name: &str, link: &str) -> Markup {
    let y = row * ROW + (ROW - BOX) / 2;
    html! {
        a href=(link) {
            rect.node x=(x) y=(y) width=(width) height=(BOX) rx="6" {}
            text.name x=(x + width / 2) y=(y + BOX / 2 + 5) text-anchor="middle" { (cut(name, width / 9)) title { (name) } }
        }
    }
}

/// An arrow from the right side of one box to the left side of another, with its count.
fn arrow(from: Place, to: Place, (count, parked): (u64, u64), link: &str) -> Markup {
    let middle = |place: Place| place.row * ROW + ROW / 2;
    let (x, y, end_x, end_y) = (from.x + from.width, middle(from), to.x, middle(to));
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
