//! `[sources.NAME]`: a sender of webhooks, and how its webhooks are authenticated.

mod signed;

use std::time::Duration;

pub(super) use signed::Unsigned;

use webhook_verify::{Scheme, Setting};

use super::{
    allow::Allow,
    problems::Problems,
    rate::Rate,
    reconcile::Reconcile,
    scheme, secret_name,
    section::Section,
    span::Span,
    template::{Role, Template, Templates},
};

/// Names that an ingest template may use.
pub(super) const INGEST_SCOPE: [&str; 7] =
    ["event", "form", "headers", "source", "event_id", "event_type", "digest"];
/// The default limit of the body in bytes, after base64 decoding. Lambda itself accepts events of at most 6 MB.
const DEFAULT_MAX_BODY: usize = 1024 * 1024;

/// A sender of webhooks.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its name, the last part of `/webhooks/{source}`.
    pub name: String,
    /// The signature scheme, with its settings.
    pub scheme: Scheme,
    /// Names of the secrets; a signature by any of them is accepted.
    pub secrets: Vec<String>,
    /// Accepted difference between a signed timestamp and our clock, in both directions.
    pub tolerance: Duration,
    /// Maximum body size in bytes.
    pub max_body: usize,
    /// The form field that holds the event as JSON: `payload` for Slack's interactions.
    pub json_field: Option<String>,
    /// The event's id, where it is not in the usual place.
    pub event_id: Option<Name>,
    /// The event's type, where it is not in the usual place.
    pub event_type: Option<Name>,
    /// The run id, for when several events mean one business fact.
    pub run_id: Option<Template>,
    /// The networks that webhooks may come from.
    pub allow: Allow,
    /// How many authenticated webhooks one ingest process accepts. None: unlimited.
    pub rate: Option<Rate>,
    /// How missing events are recovered.
    pub reconcile: Option<Reconcile>,
    /// For Meta: name of the secret that its GET request must contain.
    pub verify_token: Option<String>,
}

/// An event's id or type, by a template.
#[derive(Debug, Clone)]
pub struct Name {
    /// The template.
    pub template: Template,
    /// Whether it uses only signed values.
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
        // SNS uses certificates and no secrets.
        let has_secrets = scheme.as_ref().is_none_or(|(scheme, _)| !scheme.takes(Setting::Topics));
        let secrets = if has_secrets { secret_names(&mut section, problems) } else { Some(Vec::new()) };
        let tolerance: Option<Span> = section.optional("tolerance", "a time such as \"5m\"", problems);
        let max_body = section.optional("max_body", "a number of bytes", problems);
        let json_field: Option<String> =
            section.optional("json_field", "the name of a form's field", problems);
        let allow = Allow::read(&mut section, problems);
        let event_id = text("event_id", &INGEST_SCOPE, &mut section, templates, problems);
        let event_type = text("event_type", &INGEST_SCOPE, &mut section, templates, problems);
        let run_id = text("run_id", &INGEST_SCOPE, &mut section, templates, problems);
        let unsigned = section.optional("unsigned", "\"accept\"", problems);
        let rate = Rate::read(&mut section, problems);
        let shows_token = scheme.as_ref().is_some_and(|(scheme, _)| scheme.takes(Setting::VerifyToken));
        let verify_token = if shows_token { verify_token(&mut section, problems) } else { None };
        let table = section.section("reconcile", problems);
        section.finish(problems);
        let (scheme, settings) = scheme?;
        let scheme = scheme.with(settings?);
        let reconcile = table.and_then(|table| Reconcile::read(table, &scheme, templates, problems));
        let named = |template: Template| {
            let signed = signed::is_signed(&scheme, json_field.as_deref(), &template, templates);
            Name { template, signed }
        };
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
            rate,
            reconcile,
            verify_token,
        };
        source.check_identity(source.run_id.as_ref(), unsigned, templates, problems);
        for own in [source.run_id.as_ref(), source.event_id.as_ref().map(|name| &name.template)] {
            if let Some(reconcile) = &source.reconcile {
                reconcile.check_identity(&source.name, own, templates, problems);
            }
        }
        Some(source)
    }
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
    secret_name::check(&name, &section.path("verify_token"), problems);
    Some(name)
}

/// Checks a source's name, which is the start of run ids and the end of a path. `api` is reserved for `POST
/// /runs`.
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
        secret_name::check(name, &section.path("secrets"), problems);
    }
    Some(names)
}

#[cfg(test)]
mod tests;
