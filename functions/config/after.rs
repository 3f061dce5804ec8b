//! `after`: a step that begins when other steps are done, and may use the receipts of their calls.
//!
//! The event's values are filled into such a step's input at ingest, as for any step. Values from `receipts`, and conditions on them, are
//! evaluated when the step begins. One template can't use both, since they are known at different times.

use serde::Deserialize;

use super::{
    problems::Problems,
    section::Section,
    source::INGEST_SCOPE,
    template::{JsonTemplate, Template, Templates},
};
use crate::effect_id::StepId;

/// Names that are known only when a step with predecessors begins.
const LATE: [&str; 2] = ["receipts", "input"];

/// A step's predecessors, and what is evaluated when it begins.
#[derive(Debug, Clone)]
pub struct After {
    /// Its predecessors: it begins when all of them are done.
    pub steps: Vec<StepId>,
    /// A condition that is evaluated when the step begins. If it does not hold, the step is skipped.
    pub when: Option<Template>,
    /// Input that is filled in when the step begins, by name.
    pub input: Vec<(String, JsonTemplate)>,
}

/// `after = "charge_card"`, or a list.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Names {
    One(String),
    All(Vec<String>),
}

/// The names that the templates of a step may use, apart from those of its call.
pub(super) fn scope(has_predecessors: bool) -> Vec<&'static str> {
    let late: &[&str] = if has_predecessors { &LATE } else { &[] };
    INGEST_SCOPE.iter().chain(late).copied().collect()
}

/// Whether a template can be rendered only when the step begins.
pub(super) fn is_late(names: &[String]) -> bool {
    names.iter().any(|name| LATE.iter().any(|late| is_within(name, late)))
}

/// Whether a name is `whole` or a field of it.
pub(super) fn is_within(name: &str, whole: &str) -> bool {
    name.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Reads the predecessors, each once.
pub(super) fn read(section: &mut Section, problems: &mut Problems) -> Option<Vec<StepId>> {
    let names: Names = section.optional("after", "the id of a step, or a list of them", problems)?;
    let names = match names {
        Names::One(name) => vec![name],
        Names::All(names) => names,
    };
    if names.is_empty() {
        problems.add(section.path("after"), "empty; name the steps that it waits for, or remove it");
    }
    let mut steps = Vec::new();
    for name in names {
        match StepId::try_from(name) {
            Ok(step) if steps.contains(&step) => {
                problems.add(section.path("after"), format!("names {step} twice; once is enough"));
            }
            Ok(step) => steps.push(step),
            Err(error) => problems.add(section.path("after"), error),
        }
    }
    Some(steps)
}

impl After {
    /// Separates the late parts from a step's condition and input.
    pub(super) fn split(
        steps: Vec<StepId>,
        when: &mut Option<Template>,
        input: &mut Vec<(String, JsonTemplate)>,
        templates: &Templates,
    ) -> Self {
        let late = when.take_if(|when| is_late(&templates.names(when)));
        // The exact names may need a compiled template, so they are read only if the text mentions a late name.
        let is_late = |field: &JsonTemplate| field.mentions(&LATE) && is_late(&templates.names_of(field));
        let (late_input, early) = std::mem::take(input).into_iter().partition(|(_, field)| is_late(field));
        *input = early;
        Self { steps, when: late, input: late_input }
    }
}
