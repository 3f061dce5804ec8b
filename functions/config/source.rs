//! `[sources.NAME]`: who may send, and how we know that it is them.

use std::time::Duration;

use super::{
    allow::Allow,
    problems::Problems,
    scheme,
    section::Section,
    span::Span,
    template::{Role, Template, Templates},
};
use crate::ingest::signature::Scheme;

/// What an ingest template may use.
pub(super) const INGEST_SCOPE: [&str; 6] = ["event", "form", "headers", "source", "event_id", "event_type"];
/// What a run id may be made of. No header: few are signed, and whoever sends a webhook again with another one would start
/// another run (webhook trap 8).
pub(super) const RUN_SCOPE: [&str; 5] = ["event", "form", "source", "event_id", "event_type"];
/// Bytes of body, after base64. Lambda itself takes at most 6 MB an event.
const DEFAULT_MAX_BODY: usize = 1024 * 1024;

/// A sender of webhooks.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its name, the last part of `/webhooks/{source}`.
    pub name: String,
    /// How it signs, with the settings that takes.
    pub scheme: Scheme,
    /// Names of the secrets, any of which may have signed.
    pub secrets: Vec<String>,
    /// Accepted age of a signed timestamp, either way.
    pub tolerance: Duration,
    /// Largest body in bytes.
    pub max_body: usize,
    /// The field of a form in which the event is, as JSON: `payload` for Slack's interactions.
    pub json_field: Option<String>,
    /// Where else than usual an event's id is.
    pub event_id: Option<Name>,
    /// Where else than usual an event's type is.
    pub event_type: Option<Name>,
    /// Its own run id, for when several events mean one business fact. Of what is signed only.
    pub run_id: Option<Template>,
    /// Where webhooks may come from.
    pub allow: Allow,
    /// For Meta, the name of the secret that its GET shows.
    pub verify_token: Option<String>,
}

/// What an event is called, or what kind it is of, by a template of the source.
#[derive(Debug, Clone)]
pub struct Name {
    /// The template.
    pub template: Template,
    /// Whether all that it uses is signed.
    pub signed: bool,
}

impl Source {
    pub(super) fn read(
        name: &str,
        mut section: Section,
        templates: &mut Templates,
        problems: &mut Problems,
    ) -> Option<Self> {
        check_name(name, &section, problems);
        let scheme = scheme::read(&mut section, problems);
        let secrets = secret_names(&mut section, problems);
        let tolerance: Option<Span> = section.optional("tolerance", "a time such as \"5m\"", problems);
        let max_body = section.optional("max_body", "a number of bytes", problems);
        let json_field = section.optional("json_field", "the name of a form's field", problems);
        let allow = Allow::read(&mut section, problems);
        let event_id = text("event_id", &INGEST_SCOPE, &mut section, templates, problems);
        let event_type = text("event_type", &INGEST_SCOPE, &mut section, templates, problems);
        let run_id = text("run_id", &RUN_SCOPE, &mut section, templates, problems);
        let verify_token = match scheme {
            Some(Scheme::Meta) => verify_token(&mut section, problems),
            _ => None,
        };
        section.finish(problems);
        let scheme = scheme?;
        let named = |template: Template| Name { signed: is_signed(&scheme, &template, templates), template };
        let (event_id, event_type) = (event_id.map(named), event_type.map(named));
        let source = Self {
            name: name.to_owned(),
            secrets: secrets?,
            tolerance: tolerance.map_or(scheme.tolerance(), Duration::from),
            scheme,
            max_body: max_body.unwrap_or(DEFAULT_MAX_BODY),
            json_field,
            event_id,
            event_type,
            run_id,
            allow,
            verify_token,
        };
        source.check_run_id(source.run_id.as_ref(), templates, problems);
        Some(source)
    }

    /// A run id may use the event's id and type only where they are signed (webhook trap 8).
    pub(super) fn check_run_id(
        &self,
        run_id: Option<&Template>,
        templates: &Templates,
        problems: &mut Problems,
    ) {
        let names = [("event_id", &self.event_id), ("event_type", &self.event_type)];
        for (name, own) in names {
            let signed = own.as_ref().map_or(self.scheme.signs_id(), |own| own.signed);
            if let Some(run_id) = run_id.filter(|run_id| !signed && templates.uses(run_id, name)) {
                let message = format!(
                    "{name} is not signed by {}, so the same webhook could be sent again as another run; use event or form",
                    self.scheme
                );
                problems.add(run_id.field(), message);
            }
        }
    }
}

/// Only what was signed with the body, or taken for signed by the scheme, is.
fn is_signed(scheme: &Scheme, template: &Template, templates: &Templates) -> bool {
    let uses = |name| templates.uses(template, name);
    let body = !(uses("event") || uses("form")) || scheme.signs_body();
    let id = !(uses("event_id") || uses("event_type")) || scheme.signs_id();
    body && id && !uses("headers")
}

fn text(
    field: &'static str,
    scope: &[&str],
    section: &mut Section,
    templates: &mut Templates,
    problems: &mut Problems,
) -> Option<Template> {
    let source: String = section.optional(field, "a template", problems)?;
    templates.add(&section.path(field), Role::Text, &source, scope, problems)
}

fn verify_token(section: &mut Section, problems: &mut Problems) -> Option<String> {
    let name: String = section.optional("verify_token", "\"NAME_OF_THE_VARIABLE\"", problems)?;
    check_secret_name(&name, &section.path("verify_token"), problems);
    Some(name)
}

/// The name starts run ids and ends a path. `api` is taken by `POST /runs`.
fn check_name(name: &str, section: &Section, problems: &mut Problems) {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    if name == "api" || name.is_empty() || name.len() > 64 || !name.bytes().all(legal) {
        let message = "a source is named by up to 64 of a-z, 0-9, - and _, and not \"api\"";
        problems.add(section.path("name"), message);
    }
}

fn secret_names(section: &mut Section, problems: &mut Problems) -> Option<Vec<String>> {
    let expected = "secrets = [\"NAME_OF_THE_VARIABLE\"]";
    let names: Vec<String> = section.required("secrets", expected, problems)?;
    if names.is_empty() {
        problems.add(section.path("secrets"), format!("empty; nothing could be verified. Write {expected}"));
    }
    for name in &names {
        check_secret_name(name, &section.path("secrets"), problems);
    }
    Some(names)
}

/// Secrets are named as environment variables are. Anything else is probably a secret itself, so it is not repeated.
pub(super) fn check_secret_name(name: &str, field: &str, problems: &mut Problems) {
    let legal = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    if name.is_empty() || !name.bytes().all(legal) {
        problems.add(field, "not the name of a secret (A-Z, 0-9, _); the value itself never stands here");
    }
}

#[cfg(test)]
mod tests;
