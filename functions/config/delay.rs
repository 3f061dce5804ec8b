//! `delay`: how long a step waits before it begins, or until when.

use jiff::Timestamp;

use super::{
    problems::Problems,
    section::Section,
    source::INGEST_SCOPE,
    span::Span,
    template::{RenderError, Role, Template, Templates},
};
use crate::command::flow;

/// A step's delay.
#[derive(Debug, Clone)]
pub enum Delay {
    /// A constant in the file.
    Fixed(flow::Delay),
    /// Taken from the event, by a template.
    Template(Template),
}

impl Delay {
    pub(super) fn read(
        section: &mut Section,
        templates: &mut Templates,
        problems: &mut Problems,
    ) -> Option<Self> {
        let text: String =
            section.optional("delay", "a time such as \"1h\", or a template of one", problems)?;
        let field = section.path("delay");
        if text.contains("{{") || text.contains("{%") {
            return templates.add(&field, Role::Text, &text, &INGEST_SCOPE, problems).map(Self::Template);
        }
        parse(&text).map_err(|why| problems.add(field, why)).ok().map(Self::Fixed)
    }

    /// The delay for an event.
    ///
    /// # Errors
    /// The event lacks the field, or its value is not a delay.
    pub fn of(&self, templates: &Templates, context: &minijinja::Value) -> Result<flow::Delay, RenderError> {
        match self {
            Self::Fixed(delay) => Ok(*delay),
            Self::Template(template) => parse(&templates.text(template, context)?).map_err(|message| {
                RenderError { field: template.field().to_owned(), message, missing: None }
            }),
        }
    }
}

/// Parses a duration or a timestamp.
pub(crate) fn parse(text: &str) -> Result<flow::Delay, String> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(flow::Delay::Until(moment));
    }
    let span: Span =
        text.parse().map_err(|why| format!("{why}, or a moment such as 2027-01-31T12:00:00Z"))?;
    let millis = std::time::Duration::from(span).as_millis();
    Ok(flow::Delay::Millis(u64::try_from(millis).unwrap_or(u64::MAX)))
}
