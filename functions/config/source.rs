//! `[sources.NAME]`: who may send, and how we know that it is them.

use std::time::Duration;

use super::{
    problems::Problems,
    scheme,
    section::Section,
    span::Span,
    template::{Role, Template, Templates},
};
use crate::ingest::signature::Scheme;

/// What an ingest template may use.
pub(super) const INGEST_SCOPE: [&str; 5] = ["event", "headers", "source", "event_id", "event_type"];
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
    /// Its own run id, for when several events mean one business fact.
    pub run_id: Option<Template>,
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
        let run_id: Option<String> = section.optional("run_id", "a template", problems);
        let field = section.path("run_id");
        let run_id =
            run_id.and_then(|source| templates.add(&field, Role::Text, &source, &INGEST_SCOPE, problems));
        section.finish(problems);
        let scheme = scheme?;
        Some(Self {
            name: name.to_owned(),
            secrets: secrets?,
            tolerance: tolerance.map_or(scheme.tolerance(), Duration::from),
            scheme,
            max_body: max_body.unwrap_or(DEFAULT_MAX_BODY),
            run_id,
        })
    }
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
