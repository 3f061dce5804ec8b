//! The URL of a request to a third party. A payload can never choose the request's target: scheme, host and port are literal, and a value
//! in the path stays within the part where the template puts it.

use std::{borrow::Cow, net::IpAddr};

use http::Uri;
use minijinja::Value as Jinja;
use percent_encoding::{percent_decode, percent_decode_str};
use url::{Host, Origin, Url};

use super::{
    addresses::not_public,
    auth::Auth,
    marked::{BEGIN, END},
    problems::Problems,
    section::Section,
    template::{RenderError, Role, Template, Templates},
};

/// The only name that always means this machine.
pub(crate) const LOCALHOST: &str = "localhost";

/// A URL with a literal scheme, host and port.
#[derive(Debug, Clone)]
pub struct UrlTemplate {
    template: Template,
    origin: Origin,
}

/// The input makes no valid URL. Trying again would not help. Contains names, never values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// A field is missing, or an expression does not fit the data.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// With this value, the path would name another resource.
    #[error("{field}: {placeholder} {problem}; the path would name another resource")]
    Path {
        /// The template: `steps.open_ticket.call.url`.
        field: String,
        /// The placeholder: `input.dispute`.
        placeholder: String,
        /// What is wrong with its value.
        problem: &'static str,
    },
    /// The result is not a valid URL, or too long.
    #[error("{field}: {why}")]
    Invalid {
        /// The template.
        field: String,
        /// What is wrong.
        why: String,
    },
    /// The result has another origin than the one in `webhooks.toml`.
    #[error("{field}: does not lead where webhooks.toml says")]
    Elsewhere {
        /// The template.
        field: String,
    },
}

impl UrlTemplate {
    /// Reads `url`: everything before the path must be literal.
    pub(super) fn read(
        source: &str,
        section: &Section,
        scope: &[&str],
        templates: &mut Templates,
        problems: &mut Problems,
    ) -> Option<Self> {
        let field = section.path("url");
        let origin = read_origin(source).map_err(|problem| problems.add(&*field, problem)).ok()?;
        if is_captured(source) {
            problems.add(field, "a block of set or filter would be escaped twice; write {{ name | filter }}");
            return None;
        }
        let template = templates.add(&field, Role::Url, source, scope, problems)?;
        Some(Self { template, origin })
    }

    /// The destination: its literal host, with its port if it names one.
    #[must_use]
    pub fn destination(&self) -> String {
        let origin = self.origin.ascii_serialization();
        origin.split_once("://").map_or(origin.as_str(), |(_, host)| host).to_owned()
    }

    /// The template's field in `webhooks.toml`.
    pub(super) fn field(&self) -> &str {
        self.template.field()
    }

    /// The kind of its host's address, if that is not public. Loopback is allowed for local use.
    pub(super) fn private_address(&self) -> Option<&'static str> {
        not_public(self.address()?).filter(|_| !self.is_loopback())
    }

    /// Whether its host is this machine, by a loopback address or as [`LOCALHOST`].
    pub(super) fn is_loopback(&self) -> bool {
        let localhost = matches!(self.host(), Some(Host::Domain(name)) if name == LOCALHOST);
        localhost || self.address().is_some_and(|address| address.to_canonical().is_loopback())
    }

    pub(super) fn is_https(&self) -> bool {
        matches!(&self.origin, Origin::Tuple(scheme, ..) if scheme == "https")
    }

    /// Credentials go to another machine only over https: otherwise they could be read on the network.
    pub(super) fn check_exposure(&self, auth: Option<&Auth>, problems: &mut Problems) {
        if auth.is_some() && !self.is_https() && !self.is_loopback() {
            problems
                .add(self.field(), "http:// would send the credentials of auth unencrypted; write https://");
        }
    }

    fn address(&self) -> Option<IpAddr> {
        match self.host()? {
            Host::Ipv4(address) => Some((*address).into()),
            Host::Ipv6(address) => Some((*address).into()),
            Host::Domain(_) => None,
        }
    }

    fn host(&self) -> Option<&Host> {
        match &self.origin {
            Origin::Tuple(_, host, _) => Some(host),
            Origin::Opaque(_) => None,
        }
    }

    /// Fills in the template.
    ///
    /// # Errors
    /// See [`UrlError`].
    pub fn render(&self, templates: &Templates, context: &Jinja) -> Result<Url, UrlError> {
        let field = || self.template.field().to_owned();
        let marked = templates.text(&self.template, context)?;
        if let Err((value, problem)) = check_path(&marked) {
            let placeholder = templates.printed_as(&self.template, &value, context);
            let placeholder = placeholder.unwrap_or_else(|| "what is filled in".to_owned());
            return Err(UrlError::Path { field: field(), placeholder, problem });
        }
        let invalid = |why: String| UrlError::Invalid { field: field(), why };
        let url =
            Url::parse(&marked.replace([BEGIN, END], "")).map_err(|error| invalid(error.to_string()))?;
        // The HTTP client's own limits, which it would otherwise report only when sending.
        url.as_str().parse::<Uri>().map_err(|error| invalid(error.to_string()))?;
        if url.origin() == self.origin { Ok(url) } else { Err(UrlError::Elsewhere { field: field() }) }
    }
}

/// The literal scheme, host and port of a template.
fn read_origin(source: &str) -> Result<Origin, String> {
    let absolute = "write \"https://host/path\"";
    let (scheme, rest) =
        source.split_once("://").ok_or_else(|| format!("not an absolute URL; {absolute}"))?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if [scheme, host].iter().any(|part| part.contains(['{', '}'])) {
        return Err("the scheme and host must be literal: a payload may not choose where a call goes".into());
    }
    let url = Url::parse(&format!("{scheme}://{host}/")).map_err(|error| format!("{error}; {absolute}"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() || url.password().is_some() {
        return Err("only http and https, and no credentials in the URL; use auth".into());
    }
    Ok(url.origin())
}

/// Whether a template captures the output of a block to print it later.
fn is_captured(source: &str) -> bool {
    source.split("{%").skip(1).filter_map(|rest| rest.split("%}").next()).any(|tag| {
        let tag = tag.trim_start_matches(['-', '+']).trim_start();
        tag.starts_with("filter ") || (tag.starts_with("set ") && !tag.contains('='))
    })
}

/// Checks the path of a URL with marked values. The error is the value and what is wrong with it.
fn check_path(marked: &str) -> Result<(), (String, &'static str)> {
    // Values are percent-encoded, so they contain none of these.
    let path = marked.split(['?', '#']).next().unwrap_or_default();
    for segment in path.split(['/', '\\']).filter(|segment| segment.contains(BEGIN)) {
        let filled: Vec<_> = segment.split(BEGIN).skip(1).filter_map(|rest| rest.split(END).next()).collect();
        if let Some((value, problem)) = filled.iter().find_map(|value| Some((value, problem_of(value)?))) {
            return Err((unescaped(value), problem));
        }
        if let Some(problem) = problem_together(segment) {
            return Err((filled.first().map(|value| unescaped(value)).unwrap_or_default(), problem));
        }
    }
    Ok(())
}

const DOTS: &str = "makes a path segment . or ..";
const SLASH: &str = "holds a / or a \\";

/// What is wrong with an encoded value in a path. Some servers decode a path twice, so `%2e%2e` is a traversal as well.
fn problem_of(filled: &str) -> Option<&'static str> {
    match &*decoded(filled) {
        [] => Some("is empty"),
        value if is_dots(value) => Some(DOTS),
        value if slashes(value) > 0 => Some(SLASH),
        _ => None,
    }
}

/// What is wrong with a segment whose parts are harmless alone, such as `%2` and `e`. The template's own encoded slashes are not counted:
/// GitLab's projects are `group%2F{{ input.project }}`.
fn problem_together(segment: &str) -> Option<&'static str> {
    let whole = segment.replace([BEGIN, END], "");
    let whole = decoded(&whole);
    let literal: String =
        segment.split(BEGIN).map(|part| part.split_once(END).map_or(part, |(_, literal)| literal)).collect();
    if is_dots(&whole) {
        return Some(DOTS);
    }
    (slashes(&whole) > slashes(&decoded(&literal))).then_some(SLASH)
}

fn is_dots(segment: &[u8]) -> bool {
    matches!(segment, b"." | b"..")
}

fn slashes(segment: &[u8]) -> usize {
    segment.iter().filter(|byte| matches!(byte, b'/' | b'\\')).count()
}

fn unescaped(filled: &str) -> String {
    percent_decode_str(filled).decode_utf8_lossy().into_owned()
}

/// Percent-decodes until nothing changes.
fn decoded(text: &str) -> Cow<'_, [u8]> {
    let mut bytes = Cow::Borrowed(text.as_bytes());
    loop {
        let next: Vec<u8> = percent_decode(&bytes).collect();
        if next.len() == bytes.len() {
            return bytes;
        }
        bytes = Cow::Owned(next);
    }
}

#[cfg(test)]
mod tests;
