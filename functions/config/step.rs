//! `[[steps]]`: what to do for an event, how often to try, and what to do when in doubt.

use std::{fmt, time::Duration};

use super::{
    after::{self, After},
    auth::Auth,
    call::Call,
    delay::Delay,
    in_doubt::InDoubt,
    problems::Problems,
    retry::Retry,
    row::{self, Kind, RowTemplate},
    section::Section,
    source::{INGEST_SCOPE, Unsigned},
    template::{JsonTemplate, Role, Template, Templates},
    url_template::UrlTemplate,
};
use crate::effect_id::{PARKED_LANE, StepId};

/// A step: one action per business key of a run.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its id, a part of every effect id.
    pub id: StepId,
    /// The events that start it. None: only `POST /runs` or its predecessors do.
    pub on: Option<Trigger>,
    /// Its predecessors.
    pub after: Option<After>,
    /// How long it waits before it begins.
    pub delay: Option<Delay>,
    /// A condition on the event.
    pub when: Option<Template>,
    /// The run id, instead of the source's.
    pub run_id: Option<Template>,
    /// Identifies what the effect is about.
    pub business_key: Template,
    /// Whether its run id and business key may use unsigned values.
    pub(super) unsigned: Option<Unsigned>,
    /// The call's input, filled in at ingest, by name.
    pub input: Vec<(String, JsonTemplate)>,
    /// The call or the write.
    pub action: Action,
    /// The policy for effects in doubt.
    pub in_doubt: InDoubt,
    /// The backoff and the retry budget.
    pub retry: Retry,
}

/// The action of a step.
#[derive(Debug, Clone)]
pub enum Action {
    /// Calls a third party.
    Call(Box<Call>),
    /// Writes an item to a table of the user's.
    Write(Box<RowTemplate>),
}

/// The events that start a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// The source's name.
    pub source: String,
    /// The event type; `*` stands for any run of characters.
    pub event_type: String,
}

impl Step {
    /// The longest time that one attempt may take: the look-up and the call.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.action.timeout() + self.in_doubt.timeout()
    }

    /// The call, if the step makes one.
    #[must_use]
    pub fn call(&self) -> Option<&Call> {
        match &self.action {
            Action::Call(call) => Some(call),
            Action::Write(_) => None,
        }
    }

    /// The destination: the host that it calls, or the table that it writes to, as in `[destinations]`.
    #[must_use]
    pub fn destination(&self) -> String {
        match &self.action {
            Action::Call(call) => call.destination(),
            Action::Write(row) => row.destination(),
        }
    }

    /// The credentials or the signature of its call.
    #[must_use]
    pub fn auth(&self) -> Option<&Auth> {
        self.call()?.auth.as_ref()
    }

    /// The names of its receipt's fields.
    pub(super) fn receipt_fields(&self) -> impl Iterator<Item = &str> {
        let receipt = match &self.action {
            Action::Call(call) => &call.receipt,
            Action::Write(row) => &row.receipt,
        };
        receipt.iter().map(|(name, _)| name.as_str())
    }

    /// Every URL that it requests, with the field's name.
    pub fn urls(&self) -> impl Iterator<Item = (&str, &UrlTemplate)> {
        let look_up = match &self.in_doubt {
            InDoubt::LookUp(look_up) => Some(&look_up.url),
            InDoubt::SameKey { .. } | InDoubt::Park | InDoubt::Impossible => None,
        };
        let urls = self.call().map(|call| &call.url).into_iter().chain(look_up);
        urls.map(|url| (url.field(), url))
    }
}

impl Trigger {
    /// Whether an event matches.
    #[must_use]
    pub fn matches(&self, event_type: &str) -> bool {
        glob(&self.event_type, event_type)
    }
}

/// Matches a pattern in which `*` stands for any run of characters, also none.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(head) else { return false };
    let mut rest = rest;
    while let Some((middle, after)) = rest.split_once('*') {
        let Some(at) = text.find(middle) else { return false };
        text = &text[at + middle.len()..];
        rest = after;
    }
    text.ends_with(rest)
}

impl Step {
    pub(super) fn read(
        index: usize,
        mut section: Section,
        templates: &mut Templates,
        problems: &mut Problems,
    ) -> Option<Self> {
        let id = read_id(index, &mut section, problems);
        let on = section.section("on", problems).and_then(|on| read_trigger(on, problems));
        let predecessors = after::read(&mut section, problems);
        let delay = Delay::read(&mut section, templates, problems);
        let scope = after::scope(predecessors.is_some());
        let when: Option<String> =
            section.optional("when", "a condition such as \"event.amount > 0\"", problems);
        let field = section.path("when");
        let mut when = when.and_then(|source| templates.add_condition(&field, &source, &scope, problems));
        let run_id: Option<String> = section.optional("run_id", "a template", problems);
        let run_id = run_id
            .and_then(|source| ingest_text("run_id", &source, &INGEST_SCOPE, &section, templates, problems));
        let key = "business_key = \"{{ event.id }}\" or another template";
        let key: Option<String> = section.required("business_key", key, problems);
        let business_key = key
            .and_then(|key| ingest_text("business_key", &key, &INGEST_SCOPE, &section, templates, problems));
        let unsigned = section.optional("unsigned", "\"accept\"", problems);
        let mut input = read_input(&mut section, &scope, templates, problems);
        let action = Action::read(&mut section, &input, templates, problems);
        let in_doubt = match &action {
            Some(Action::Write(_)) => InDoubt::of_row(&mut section, problems),
            Some(Action::Call(_)) | None => InDoubt::read(&mut section, &input, templates, problems),
        };
        let longest =
            action.as_ref().zip(in_doubt.as_ref()).map(|(action, doubt)| action.timeout() + doubt.timeout());
        let retry = section.section("retry", problems).map(|retry| Retry::read(retry, longest, problems));
        section.finish(problems);
        let after = predecessors.map(|steps| After::split(steps, &mut when, &mut input, templates));
        Some(Self {
            id: id?,
            on,
            after,
            delay,
            when,
            run_id,
            business_key: business_key?,
            unsigned,
            input,
            action: action?,
            in_doubt: in_doubt?,
            retry: retry.unwrap_or_default(),
        })
    }
}

impl Action {
    fn timeout(&self) -> Duration {
        match self {
            Self::Call(call) => call.timeout,
            Self::Write(_) => row::TIMEOUT,
        }
    }

    fn read(
        section: &mut Section,
        input: &[(String, JsonTemplate)],
        templates: &mut Templates,
        problems: &mut Problems,
    ) -> Option<Self> {
        let call = section.section("call", problems);
        let call =
            call.map(|call| Call::read(call, input, templates, problems).map(Box::new).map(Self::Call));
        let mut actions: Vec<_> = call.into_iter().collect();
        for kind in Kind::ALL {
            let Some(row) = section.section(kind.name(), problems) else { continue };
            if !actions.is_empty() {
                problems.add(
                    section.path(kind.name()),
                    "a step does one thing; make another step of it, with after",
                );
            }
            actions.push(
                RowTemplate::read(kind, row, input, templates, problems).map(Box::new).map(Self::Write),
            );
        }
        if actions.is_empty() {
            let why =
                "missing; add call = { method = \"POST\", url = \"https://…\" }, or put, update or delete";
            problems.add(section.path("call"), why);
        }
        actions.into_iter().next()?
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(call) => write!(f, "{} {}", call.method, call.destination()),
            Self::Write(row) => row.fmt(f),
        }
    }
}

/// Reads the id first, so that every other error is reported under it.
fn read_id(index: usize, section: &mut Section, problems: &mut Problems) -> Option<StepId> {
    let Some(id) = section.required::<String>("id", "id = \"open_ticket\" or another", problems) else {
        section.rename(format!("steps[{index}]"));
        return None;
    };
    match StepId::try_from(id.clone()) {
        Ok(step) if step.as_str() == PARKED_LANE => {
            problems.add(
                section.path("id"),
                "is reserved: the table lists under it what is parked; choose another",
            );
            None
        }
        Ok(step) => {
            section.rename(format!("steps.{id}"));
            Some(step)
        }
        Err(error) => {
            problems.add(section.path("id"), format!("{error}; use letters, digits, _ and -"));
            None
        }
    }
}

fn read_trigger(mut section: Section, problems: &mut Problems) -> Option<Trigger> {
    let source = section.required("source", "the name of a source", problems);
    let event_type = section.required("type", "an event type, * allowed", problems);
    section.finish(problems);
    Some(Trigger { source: source?, event_type: event_type? })
}

fn ingest_text(
    field: &str,
    source: &str,
    scope: &[&str],
    section: &Section,
    templates: &mut Templates,
    problems: &mut Problems,
) -> Option<Template> {
    templates.add(&section.path(field), Role::Text, source, scope, problems)
}

fn read_input(
    section: &mut Section,
    scope: &[&str],
    templates: &mut Templates,
    problems: &mut Problems,
) -> Vec<(String, JsonTemplate)> {
    let input = section.table("input", "a table of names and templates", problems);
    templates.add_fields(&section.path("input"), input.unwrap_or_default(), scope, problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        for (pattern, text, expected) in [
            ("charge.dispute.*", "charge.dispute.created", true),
            ("charge.dispute.*", "charge.disputes", false),
            ("*", "", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c", false),
            ("ab*b", "ab", false),
            ("issues.opened", "issues.opened", true),
            ("issues.opened", "issues.opened2", false),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern} on {text}");
        }
    }
}
