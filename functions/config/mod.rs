//! `webhooks.toml`, the file that users edit. All its errors are found at start and reported together.
//!
//! For a source: [`source`] has its settings, [`allow`] its networks, [`reconcile`] how missing events are
//! fetched.
//!
//! For a step: [`step`] has its settings, [`after`] its predecessors (their `graph` is checked), [`delay`]
//! its delay, [`call`] its request or [`row`] its table item, [`auth`] its credentials, [`statuses`] the
//! meaning of response statuses, [`in_doubt`] its policy, [`retry`] its retries. [`url_template`] is the
//! request's URL, with the `hosts` of each stage and the values `marked` in it.
//!
//! For both: [`template`] is the template language. [`destination`] has the limits of a third party;
//! `addresses` says which addresses are private. `secret_name` checks the names of secrets. [`environment`]
//! is what differs between deployments, with the [`brokers`] and the trace [`collector`]. [`checked`] tells
//! whether the embedded file was checked at build time.

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
mod marked;
mod position;
mod problems;
pub mod rate;
pub mod reconcile;
pub mod retry;
pub mod row;
mod scheme;
mod secret_name;
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

use checked::{Check, IS_CHECKED};
use destination::Destinations;
use hosts::Stage;
use in_doubt::InDoubt;
use problems::Problems;
pub use problems::{ConfigError, Problem};
use section::{Section, Table};
use serde_json::Value;
use source::Source;
use span::Span;
use step::Step;
use template::Templates;

use crate::{command::flow::Uses, effect_id::StepId};

/// The `webhooks.toml` that was in the repository at build time.
pub const EMBEDDED: &str = include_str!("../../webhooks.toml");

/// The same file, parsed, as JSON; empty if the build could not parse it.
const PARSED: &str = include_str!(concat!(env!("OUT_DIR"), "/webhooks.json"));

/// A complete, checked configuration.
#[derive(Debug)]
pub struct Config {
    /// The compiled templates of everything below.
    pub templates: Templates,
    /// Sources by name.
    pub sources: BTreeMap<String, Source>,
    /// Steps in the order of the file.
    pub steps: Vec<Step>,
    /// Limits of destinations that have a table.
    pub destinations: Destinations,
    /// `journal = true`: ingest writes every command to the effects table as well as to the topic, so that even the loss of the broker's disk
    /// loses nothing. It costs one more write per effect.
    pub journal: bool,
    /// Settings of the consumer.
    pub consumer: ConsumerSettings,
    /// Which receipt fields each step uses.
    uses: graph::UsesOf,
}

/// `[consumer]`: settings that rarely need a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsumerSettings {
    /// With a journal: the time after which a command that was sent to the broker becomes due in the table,
    /// so that commands that the broker loses are still done. It must be longer than the topic's usual
    /// backlog takes.
    pub journal_grace: Duration,
    /// Length of the stream lease: how long a dead consumer blocks the next one.
    pub stream_lease: Duration,
    /// Time reserved after a call for recording the outcome and acking. A lease outlasts its call by this much, and no call begins that would
    /// leave less before the invocation's end. It must be longer than DynamoDB may take to respond.
    pub settle: Duration,
    /// The longest time that a message waits for its call. After that time the attempt is put on the agenda,
    /// due when its lease ends, the message leaves the topic, and its partition goes on.
    pub slow_call: Duration,
    /// How long the record of a done or discarded effect is kept: longer than any provider redelivers.
    pub keep_done: Duration,
    /// Whether that record keeps the command with its input, so that the effect can be redriven.
    pub keep_commands: bool,
}

/// DynamoDB usually responds within 10 ms, and Lambda's clocks differ by about as little, so this is seldom exceeded. If it is, the effect
/// is taken over while its first attempt is ending: it is then in doubt, and fenced, so only a look-up can give a wrong result. The default
/// also leaves time for three tries of a client.
const LEAST_SETTLE: Duration = Duration::from_secs(1);
/// Providers redeliver automatically for up to 7 days (WhatsApp), and on request as long as they keep an event: 30 days at
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
    /// Reads and checks a configuration. `file` names it in errors. For each of `[hosts]`, the first host is used.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(file: &str, text: &str) -> Result<Self, ConfigError> {
        Self::parse_of(file, text, Stage::None, Check::All)
    }

    /// Like `parse`, with the hosts of a stage and only the remaining checks.
    fn parse_of(file: &str, text: &str, stage: Stage<'_>, check: Check) -> Result<Self, ConfigError> {
        match toml::from_str(text) {
            Ok(table) => Self::read(file, text, table, stage, check),
            Err(_) => Err(ConfigError { file: file.to_owned(), problems: position::malformed(text) }),
        }
    }

    /// Reads the embedded file, as far as possible as it was prepared by the build and by `cargo webhooks check`.
    fn embedded(stage: Stage<'_>) -> Result<Self, ConfigError> {
        let check = if IS_CHECKED { Check::Hosts } else { Check::All };
        Self::read_parsed("webhooks.toml", EMBEDDED, PARSED, stage, check)
    }

    /// Reads a file that the build has parsed; if it could not, parses it.
    fn read_parsed(
        file: &str,
        text: &str,
        parsed: &str,
        stage: Stage<'_>,
        check: Check,
    ) -> Result<Self, ConfigError> {
        match serde_json::from_str(parsed) {
            Ok(table) => Self::read(file, text, table, stage, check),
            Err(_) => Self::parse_of(file, text, stage, check),
        }
    }

    /// Reads and checks the parsed file. Its text gives the lines of problems.
    fn read(
        file: &str,
        text: &str,
        mut table: Table,
        stage: Stage<'_>,
        check: Check,
    ) -> Result<Self, ConfigError> {
        let mut problems = Problems::default();
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

    /// Looks up a step.
    #[must_use]
    pub fn step(&self, id: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.id.as_str() == id)
    }

    /// The predecessors of a step.
    #[must_use]
    pub fn predecessors(&self, step: &str) -> BTreeSet<StepId> {
        let after = self.step(step).and_then(|step| step.after.as_ref());
        after.into_iter().flat_map(|after| after.steps.iter().cloned()).collect()
    }

    /// Which receipt fields a step uses.
    pub(crate) fn uses(&self, step: &StepId) -> Uses {
        self.uses.get(step).cloned().unwrap_or_default()
    }

    /// The longest time that any attempt may take.
    #[must_use]
    pub fn slowest_attempt(&self) -> Duration {
        self.steps.iter().map(Step::longest).max().unwrap_or_default()
    }
}

pub(super) type Sources = BTreeMap<String, Option<Source>>;

fn read_sources(root: &mut Section, templates: &mut Templates, problems: &mut Problems) -> Sources {
    let table = root.table("sources", "tables such as [sources.stripe]", problems).unwrap_or_default();
    let mut sources = Sources::new();
    for (name, value) in table {
        let path = format!("sources.{name}");
        let source = match value {
            Value::Object(table) => Source::read(&name, Section::new(path, table), templates, problems),
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
    let tables = root.tables("steps", "tables written [[steps]]", problems).unwrap_or_default();
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

/// The longest `slow_call`: a message's lease at the broker is four times as long, plus `settle`.
const MOST_SLOW_CALL: Duration = Duration::from_secs(10);

/// Checks that steps refer to existing sources, that their identities use signed values, and that ids are unique.
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
                if let Some(reconcile) = &source.reconcile {
                    reconcile.check_identity(&source.name, identity, templates, problems);
                }
            }
        }
        if let Some(on) = step.on.as_ref().filter(|on| !sources.contains_key(&on.source)) {
            let known: Vec<_> = sources.keys().map(String::as_str).collect();
            let message = format!("no source is named {:?}; known are {}", on.source, known.join(", "));
            problems.add(format!("steps.{}.on.source", step.id), message);
        }
    }
}

/// Checks that a whole attempt fits into each `same_key` window, since a key is reused only then. A shorter window would park every doubt.
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
