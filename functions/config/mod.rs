//! `webhooks.toml`: what a user edits. Everything that is wrong with it is found at start, and reported together.
//!
//! [`source`] who may send, [`allow`] from where, [`reconcile`] how it is asked for what did not arrive · [`step`] what to do then, [`after`] which others, with the `graph` of them, and with which [`delay`] · [`call`] the request to the third party, or the [`row`] of a table; with its
//! [`url_template`] and the `hosts` that differ between stages, [`auth`] and [`statuses`], [`destination`] how much it is asked to bear and which `addresses` it may have · [`in_doubt`] what to do when an
//! outcome is unknown · [`retry`] for how long to try again · [`template`] the language in all of them · [`environment`] what
//! differs between one deployment and the next, with the lists of [`brokers`] and the [`collector`] of traces · [`checked`] whether the embedded file is known to be right.

pub(crate) mod addresses;
pub mod after;
pub mod allow;
pub mod auth;
pub mod brokers;
pub mod call;
pub mod checked;
pub mod collector;
pub mod delay;
pub mod destination;
pub mod environment;
mod graph;
mod hosts;
pub mod in_doubt;
mod position;
mod problems;
pub mod rate;
pub mod reconcile;
pub mod retry;
pub mod row;
mod scheme;
mod section;
pub mod source;
mod span;
pub mod statuses;
pub mod step;
pub mod template;
pub mod url_template;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use checked::Check;
use destination::Destinations;
use hosts::Stage;
use in_doubt::InDoubt;
use problems::Problems;
pub use problems::{ConfigError, Problem};
use section::Section;
use source::Source;
use span::Span;
use step::Step;
use template::Templates;
use toml::{Table, Value};

use crate::{command::flow::Uses, effect_id::StepId};

/// The file that was in the repository when this was built.
pub const EMBEDDED: &str = include_str!("../../webhooks.toml");

/// A whole configuration, checked.
#[derive(Debug)]
pub struct Config {
    /// The compiled templates of everything below.
    pub templates: Templates,
    /// By name.
    pub sources: BTreeMap<String, Source>,
    /// In the order of the file.
    pub steps: Vec<Step>,
    /// Limits of destinations that have their own.
    pub destinations: Destinations,
    /// `journal = true`: every command is written to the table at ingest, side by side with the topic, so that even the
    /// loss of the broker's disk loses nothing. It costs one write more for each effect.
    pub journal: bool,
    /// How the consumer works.
    pub consumer: ConsumerSettings,
    /// Which fields of receipts each step uses.
    uses: graph::UsesOf,
}

/// `[consumer]`: what rarely needs changing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsumerSettings {
    /// With a journal: a command comes due in the table this long after it went to the broker, so that what the broker
    /// loses is done all the same. Longer than the topic's usual backlog takes.
    pub journal_grace: Duration,
    /// How long a dead consumer keeps the next one from the stream.
    pub stream_lease: Duration,
    /// What recording an outcome and acking may take, after a call: a lease outlasts its call by this much, and no call
    /// is begun that would leave less before the invocation's end. Longer than DynamoDB may take to answer.
    pub settle: Duration,
    /// A message does not wait for its call any longer than this: the attempt is put on the agenda for when its lease ends,
    /// the message leaves the topic, and its partition goes on.
    pub slow_call: Duration,
    /// How long the record of an effect is kept that is done or was decided about: longer than any provider redelivers.
    pub keep_done: Duration,
    /// Whether that record keeps the command with its input, so that the effect can be done again on request.
    pub keep_commands: bool,
}

/// DynamoDB usually answers within 10 ms, and Lambda's clocks are right to within some, so that this much is seldom exceeded.
/// Where it is, an effect is taken over while its first attempt ends: in doubt, and fenced, so that only a look-up can be led
/// astray. The default leaves room for a client's three tries as well.
const LEAST_SETTLE: Duration = Duration::from_secs(1);
/// Providers deliver again by themselves for up to 7 days (WhatsApp), and on demand as long as they keep an event: 30 days at
/// most (Stripe, `stripe events resend`).
const LEAST_KEEP_DONE: Duration = Duration::from_secs(31 * 24 * 3600);

impl Default for ConsumerSettings {
    fn default() -> Self {
        Self {
            journal_grace: Duration::from_secs(120),
            stream_lease: Duration::from_secs(10),
            settle: Duration::from_secs(6),
            slow_call: Duration::from_millis(100),
            keep_done: Duration::from_secs(90 * 24 * 3600),
            keep_commands: false,
        }
    }
}

impl Config {
    /// Reads and checks a configuration. `file` names it in errors. Of `[hosts]` the first of each is taken.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn parse(file: &str, text: &str) -> Result<Self, ConfigError> {
        Self::parse_of(file, text, Stage::None, Check::All)
    }

    /// The same, with the hosts of a stage, and checked as far as it has to be.
    fn parse_of(file: &str, text: &str, stage: Stage<'_>, check: Check) -> Result<Self, ConfigError> {
        let mut problems = Problems::default();
        let mut table: Table = match text.parse() {
            Ok(table) => table,
            Err(_) => {
                problems.extend(position::malformed(text));
                Table::new()
            }
        };
        hosts::fill_in(&mut table, stage, &mut problems);
        let mut root = Section::new("", table);
        let mut templates = Templates::new(check);
        let sources = read_sources(&mut root, &mut templates, &mut problems);
        let steps = read_steps(&mut root, &mut templates, &mut problems);
        let journal = root.optional("journal", "true or false", &mut problems).unwrap_or_default();
        let destinations = destination::read(&mut root, &mut problems);
        let consumer = root.section("consumer", &mut problems);
        let consumer = consumer.map(|section| read_consumer(section, &mut problems)).unwrap_or_default();
        if check == Check::All {
            check_references(&sources, &steps, &templates, &mut problems);
        }
        let uses = graph::check(&steps, &sources, &templates, &mut problems);
        check_windows(&steps, consumer.settle, &mut problems);
        destination::check(&destinations, &sources, &steps, &mut problems);
        root.finish(&mut problems);
        let sources = sources.into_iter().filter_map(|(name, source)| Some((name, source?))).collect();
        let steps = steps.into_iter().flatten().collect();
        let config = Self { templates, sources, steps, destinations, journal, consumer, uses };
        problems.or(file, config).map_err(|mut error| {
            position::locate(text, &mut error.problems);
            error
        })
    }

    /// The step of that name.
    #[must_use]
    pub fn step(&self, id: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.id.as_str() == id)
    }

    /// The steps that a step comes after.
    #[must_use]
    pub fn predecessors(&self, step: &str) -> BTreeSet<StepId> {
        let after = self.step(step).and_then(|step| step.after.as_ref());
        after.into_iter().flat_map(|after| after.steps.iter().cloned()).collect()
    }

    /// Which fields of receipts a step uses.
    pub(crate) fn uses(&self, step: &StepId) -> Uses {
        self.uses.get(step).cloned().unwrap_or_default()
    }

    /// The longest that any attempt may take.
    #[must_use]
    pub fn slowest_attempt(&self) -> Duration {
        self.steps.iter().map(Step::longest).max().unwrap_or_default()
    }
}

pub(super) type Sources = BTreeMap<String, Option<Source>>;

fn read_sources(root: &mut Section, templates: &mut Templates, problems: &mut Problems) -> Sources {
    let table: Table =
        root.optional("sources", "tables such as [sources.stripe]", problems).unwrap_or_default();
    let mut sources = Sources::new();
    for (name, value) in table {
        let path = format!("sources.{name}");
        let source = match value {
            Value::Table(table) => Source::read(&name, Section::new(path, table), templates, problems),
            _ => {
                problems.add(path, "not a table; write [sources.NAME]");
                None
            }
        };
        sources.insert(name, source);
    }
    sources
}

fn read_steps(root: &mut Section, templates: &mut Templates, problems: &mut Problems) -> Vec<Option<Step>> {
    let tables: Vec<Table> = root.optional("steps", "tables written [[steps]]", problems).unwrap_or_default();
    let read = |(index, table)| {
        Step::read(index, Section::new(format!("steps[{index}]"), table), templates, problems)
    };
    tables.into_iter().enumerate().map(read).collect()
}

fn read_consumer(mut section: Section, problems: &mut Problems) -> ConsumerSettings {
    let default = ConsumerSettings::default();
    let keep_commands = section.optional("keep_commands", "true or false", problems);
    let mut time = |field, default| {
        let span: Option<Span> = section.optional(field, "a time such as \"10s\"", problems);
        span.map_or(default, Duration::from)
    };
    let settings = ConsumerSettings {
        journal_grace: time("journal_grace", default.journal_grace),
        stream_lease: time("stream_lease", default.stream_lease),
        settle: time("settle", default.settle),
        slow_call: time("slow_call", default.slow_call),
        keep_done: time("keep_done", default.keep_done),
        keep_commands: keep_commands.unwrap_or(default.keep_commands),
    };
    if settings.stream_lease < Duration::from_secs(1) {
        problems.add(section.path("stream_lease"), "must be 1s or more, so that it can be renewed in time");
    }
    if settings.slow_call > MOST_SLOW_CALL {
        problems.add(section.path("slow_call"), "must be 10s or less, or a slow call holds up its partition");
    }
    if settings.settle < LEAST_SETTLE {
        let why = "must be 1s or more: an outcome that takes longer to record is called or asked about again";
        problems.add(section.path("settle"), why);
    }
    if settings.keep_done < LEAST_KEEP_DONE {
        let why = "must be 744h (31 days) or more: providers can be made to deliver an event again for 30 days, and what has no record any more would be called again";
        problems.add(section.path("keep_done"), why);
    }
    section.finish(problems);
    settings
}

/// A message's lease at the broker is four times as long.
const MOST_SLOW_CALL: Duration = Duration::from_secs(10);

/// Steps refer to sources that exist, name their effects by what those sign, and no two share an id.
fn check_references(
    sources: &Sources,
    steps: &[Option<Step>],
    templates: &Templates,
    problems: &mut Problems,
) {
    let mut seen = Vec::new();
    for step in steps.iter().flatten() {
        if seen.contains(&&step.id) {
            problems.add(format!("steps.{}.id", step.id), "two steps have this id; every step needs its own");
        }
        seen.push(&step.id);
        let source = step.on.as_ref().and_then(|on| sources.get(&on.source)?.as_ref());
        if let Some(source) = source {
            for identity in [step.run_id.as_ref(), Some(&step.business_key)] {
                source.check_identity(identity, step.unsigned, templates, problems);
                reconcile::check_identity(source, identity, templates, problems);
            }
        }
        if let Some(on) = step.on.as_ref().filter(|on| !sources.contains_key(&on.source)) {
            let known: Vec<_> = sources.keys().map(String::as_str).collect();
            let message = format!("no source is named {:?}; known are {}", on.source, known.join(", "));
            problems.add(format!("steps.{}.on.source", step.id), message);
        }
    }
}

/// A key is used again only while a whole attempt and its settling fit into the window. One that is shorter would park
/// every doubt.
fn check_windows(steps: &[Option<Step>], settle: Duration, problems: &mut Problems) {
    for step in steps.iter().flatten() {
        let needed = step.longest() + settle;
        if let InDoubt::SameKey { window } = &step.in_doubt
            && *window <= needed
        {
            let field = format!("steps.{}.in_doubt.window", step.id);
            let needed = needed.as_secs_f64();
            problems.add(
                field,
                format!("too short to call again: the call and [consumer] settle take {needed} s"),
            );
        }
    }
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
