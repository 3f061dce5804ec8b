//! `[steps.call]`: the request to the third party.

use std::time::Duration;

use http::{HeaderName, Method, header::CONTENT_TYPE};
use serde_json::Value;

use super::{
    auth::Auth,
    problems::Problems,
    section::Section,
    span::Span,
    statuses::Statuses,
    template::{JsonTemplate, Role, Template, Templates},
    url_template::UrlTemplate,
};

/// Names that a call template may use besides the step's `input`.
const CALL_SCOPE: [&str; 6] = ["run_id", "effect_id", "step", "business_key", "attempt", "idempotency_key"];
/// Names that templates for a response may use.
pub(super) const ANSWER_SCOPE: [&str; 2] = ["response.status", "response.json"];
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// A Lambda function runs for at most 15 minutes, and the commit needs part of it.
const MAX_TIMEOUT: Duration = Duration::from_secs(14 * 60);

/// A request to a third party.
#[derive(Debug, Clone)]
pub struct Call {
    /// The HTTP method; POST by default.
    pub method: Method,
    /// The URL.
    pub url: UrlTemplate,
    /// The credentials or the signature.
    pub auth: Option<Auth>,
    /// Further headers.
    pub headers: Vec<(HeaderName, Template)>,
    /// The request body.
    pub body: Body,
    /// Time limit of the whole exchange, from connecting to the last byte of the response.
    pub timeout: Duration,
    /// Statuses with a non-standard meaning.
    pub statuses: Statuses,
    /// A condition on a 2xx response, for third parties that also answer 200 to a refusal.
    pub applied_if: Option<Template>,
    /// The fields of the response that are kept, by name.
    pub receipt: Vec<(String, JsonTemplate)>,
}

/// A request body.
#[derive(Debug, Clone)]
pub enum Body {
    /// Nothing.
    Empty,
    /// `application/json`.
    Json(JsonTemplate),
    /// `application/x-www-form-urlencoded`.
    Form(Vec<(String, Template)>),
}

impl Call {
    /// The destination: see [`UrlTemplate::destination`].
    #[must_use]
    pub fn destination(&self) -> String {
        self.url.destination()
    }

    pub(super) fn read(
        mut section: Section,
        input: &[(String, JsonTemplate)],
        templates: &mut Templates,
        problems: &mut Problems,
    ) -> Option<Self> {
        let scope = call_scope(input);
        let scope: Vec<&str> = scope.iter().map(String::as_str).collect();
        let method: Option<String> = section.optional("method", "\"POST\" or another method", problems);
        let method = method.map_or(Some(Method::POST), |method| read_method(&method, &section, problems));
        let url: Option<String> = section.required("url", "url = \"https://…\"", problems);
        let url = url.and_then(|url| UrlTemplate::read(&url, &section, &scope, templates, problems));
        let auth = section.section("auth", problems).and_then(|auth| Auth::read(auth, problems));
        if let Some(url) = &url {
            url.check_exposure(auth.as_ref(), problems);
        }
        let headers = read_headers(&mut section, auth.as_ref(), &scope, templates, problems);
        let body = read_body(&mut section, &scope, templates, problems);
        let timeout = read_timeout(&mut section, problems);
        let statuses = section.section("statuses", problems).map(|section| Statuses::read(section, problems));
        let applied_if = read_condition("applied_if", &mut section, &ANSWER_SCOPE, templates, problems);
        let receipt = read_receipt(&mut section, templates, problems);
        section.finish(problems);
        let (method, url, statuses) = (method?, url?, statuses.unwrap_or_default());
        Some(Self { method, url, auth, headers, body, timeout, statuses, applied_if, receipt })
    }
}

/// Names that a template of a call or a look-up may use.
pub(super) fn call_scope(input: &[(String, JsonTemplate)]) -> Vec<String> {
    let inputs = input.iter().map(|(name, _)| ["input.", name].concat());
    inputs.chain(CALL_SCOPE.map(str::to_owned)).collect()
}

pub(super) fn read_condition(
    field: &'static str,
    section: &mut Section,
    scope: &[&str],
    templates: &mut Templates,
    problems: &mut Problems,
) -> Option<Template> {
    let source: String = section.optional(field, "a condition such as \"response.json.ok\"", problems)?;
    templates.add_condition(&section.path(field), &source, scope, problems)
}

fn read_method(method: &str, section: &Section, problems: &mut Problems) -> Option<Method> {
    let known = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::GET];
    let found = known.into_iter().find(|known| known.as_str() == method);
    if found.is_none() {
        let message = format!("{method:?} is not one of POST, PUT, PATCH, DELETE, GET");
        problems.add(section.path("method"), message);
    }
    found
}

fn read_headers(
    section: &mut Section,
    auth: Option<&Auth>,
    scope: &[&str],
    templates: &mut Templates,
    problems: &mut Problems,
) -> Vec<(HeaderName, Template)> {
    let mut headers = Vec::new();
    for (name, source) in read_texts("headers", section, problems) {
        let field = format!("{}.{name}", section.path("headers"));
        match name.parse::<HeaderName>() {
            Ok(header) if is_ours(&header, auth) => problems.add(field, "is set by the consumer; remove it"),
            Ok(header) => {
                let template = templates.add(&field, Role::Text, &source, scope, problems);
                headers.extend(template.map(|template| (header, template)));
            }
            Err(_) => problems.add(field, "is not the name of a header"),
        }
    }
    headers
}

/// Whether a header is reserved: it carries the idempotency key, the credentials or the framing.
fn is_ours(name: &HeaderName, auth: Option<&Auth>) -> bool {
    let signs = matches!(auth, Some(Auth::StandardWebhooks(_)));
    let is_aws = matches!(auth, Some(Auth::Aws { .. }));
    ["idempotency-key", "authorization", "content-length", "host", "transfer-encoding"]
        .contains(&name.as_str())
        // AWS services name the protocol version in it.
        || (name == CONTENT_TYPE && !is_aws)
        || (is_aws && ["x-amz-date", "x-amz-security-token"].contains(&name.as_str()))
        || (signs && SIGNED.contains(&name.as_str()))
}

/// The headers of a signature.
const SIGNED: [&str; 3] = ["webhook-id", "webhook-timestamp", "webhook-signature"];

fn read_texts(field: &'static str, section: &mut Section, problems: &mut Problems) -> Vec<(String, String)> {
    let table = section.table(field, "a table of names and strings", problems);
    let mut texts = Vec::new();
    for (name, value) in table.unwrap_or_default() {
        match value {
            Value::String(text) => texts.push((name, text)),
            _ => problems.add(format!("{}.{name}", section.path(field)), "not a string; put it in quotes"),
        }
    }
    texts
}

fn read_body(
    section: &mut Section,
    scope: &[&str],
    templates: &mut Templates,
    problems: &mut Problems,
) -> Body {
    let json = section.take("json");
    let form = read_texts("form", section, problems);
    match (json, form.is_empty()) {
        (None, true) => Body::Empty,
        (Some(json), true) => Body::Json(templates.add_json(&section.path("json"), json, scope, problems)),
        (Some(_), false) => {
            problems.add(section.path("form"), "a call has one body; remove json or form");
            Body::Empty
        }
        (None, false) => Body::Form(
            form.into_iter()
                .filter_map(|(name, source)| {
                    let field = format!("{}.{name}", section.path("form"));
                    Some((name, templates.add(&field, Role::Text, &source, scope, problems)?))
                })
                .collect(),
        ),
    }
}

pub(super) fn read_timeout(section: &mut Section, problems: &mut Problems) -> Duration {
    let timeout: Option<Span> = section.optional("timeout", "a time such as \"10s\"", problems);
    let timeout = timeout.map_or(DEFAULT_TIMEOUT, Duration::from);
    if timeout.is_zero() || timeout > MAX_TIMEOUT {
        problems.add(section.path("timeout"), "must be over 0 and at most 14m: a Lambda runs for 15");
    }
    timeout
}

pub(super) fn read_receipt(
    section: &mut Section,
    templates: &mut Templates,
    problems: &mut Problems,
) -> Vec<(String, JsonTemplate)> {
    let receipt = section.table("receipt", "a table of names and templates", problems);
    templates.add_fields(&section.path("receipt"), receipt.unwrap_or_default(), &ANSWER_SCOPE, problems)
}
