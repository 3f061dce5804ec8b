//! `reconcile` of a source: fetches missing events from the provider's API, with our own API key.

use std::time::Duration;

use minijinja::Value as Jinja;
use serde::Deserialize;
use url::Url;
use webhook_verify::Scheme;

use super::{
    problems::Problems,
    secret_name,
    section::Section,
    span::Span,
    template::{Template, Templates},
    url_template::UrlTemplate,
};

/// The shortest interval: each query costs the provider something, and outages are noticed soon enough.
const LEAST_EVERY: Duration = Duration::from_secs(60);
/// The longest interval: GitHub keeps deliveries for three days, so a longer interval could miss some.
const MOST_EVERY: Duration = Duration::from_secs(24 * 3600);

/// How missing events of a source are recovered.
#[derive(Debug, Clone)]
pub struct Reconcile {
    /// The interval.
    pub every: Duration,
    /// The API's base URL; its host is literal.
    pub url: UrlTemplate,
    /// The same URL, parsed, as the base of requests.
    pub base: Url,
    /// Name of the secret with the API key.
    pub key: String,
    /// The provider, with its settings.
    pub provider: Provider,
    /// How long the provider keeps what it has sent. Older events can't be listed.
    pub keeps: Duration,
}

/// A provider whose API lists what it has sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provider {
    /// GitHub lists deliveries and redelivers on request.
    GitHub(Hook),
    /// GitLab lists deliveries with their content and redelivers on request.
    GitLab(GitLabHook),
    /// Stripe lists events.
    Stripe {
        /// Which events are fetched.
        events: Events,
        /// The connected account; none for the user's own.
        account: Option<String>,
    },
    /// Paddle lists events.
    Paddle,
    /// Square lists events.
    Square,
}

/// The owner of a GitHub webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hook {
    /// A repository, `owner/name`, and the hook's number.
    Repository(String, u64),
    /// An organization, and the hook's number.
    Organization(String, u64),
    /// A GitHub App, by its client id.
    App(String),
}

/// The owner of a GitLab webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GitLabHook {
    /// A project, by its path, and the hook's number.
    Project(String, u64),
    /// A group, and the hook's number.
    Group(String, u64),
}

/// Which events are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Events {
    /// Those that the provider reports as not delivered.
    #[default]
    Failed,
    /// All of them, whether delivered or not.
    All,
}

/// The static properties of a provider.
struct Known {
    /// The scheme of its webhooks.
    scheme: &'static str,
    /// The default URL of its API.
    url: &'static str,
    /// How many days it keeps what it has sent.
    keeps_days: u64,
    /// Reads the provider's own fields.
    read: fn(&mut Section, &mut Problems) -> Option<Provider>,
}

/// All supported providers. Each has a row here, a [`Provider`], and a file in `functions/reconcile` that cites its API reference.
const KNOWN: [Known; 5] = [
    Known { scheme: "github", url: "https://api.github.com", keeps_days: 3, read: read_hook },
    Known {
        scheme: "paddle",
        url: "https://api.paddle.com",
        keeps_days: 90,
        read: |_, _| Some(Provider::Paddle),
    },
    Known {
        scheme: "square",
        url: "https://connect.squareup.com",
        keeps_days: 28,
        read: |_, _| Some(Provider::Square),
    },
    // Of the providers with this scheme, only GitLab is supported: it can list its deliveries.
    Known {
        scheme: "standard-webhooks",
        url: "https://gitlab.com/api/v4",
        keeps_days: 7,
        read: read_gitlab_hook,
    },
    Known { scheme: "stripe", url: "https://api.stripe.com", keeps_days: 30, read: read_stripe },
];

impl Reconcile {
    /// Reads the table, for a source of this scheme.
    pub(super) fn read(
        mut section: Section,
        scheme: &Scheme,
        templates: &mut Templates,
        problems: &mut Problems,
    ) -> Option<Self> {
        let every: Option<Span> = section.required("every", "every = \"15m\"", problems);
        let key: Option<String> = section.required("key", "key = \"NAME_OF_THE_SECRET\"", problems);
        if let Some(key) = &key {
            secret_name::check(key, &section.path("key"), problems);
        }
        let url: Option<String> = section.optional("url", "the URL of the provider's API", problems);
        let Some(known) = KNOWN.iter().find(|known| known.scheme == scheme.name()) else {
            let others = KNOWN.map(|known| known.scheme).join(", ");
            // GitLab redelivers with another body; without a signed id it would be another run.
            let message = match scheme.name() {
                "gitlab" => "without a signed id, what is sent again would be done again; use its signing token, with scheme = \"standard-webhooks\"".to_owned(),
                _ => format!("{scheme} has no list of events or deliveries that can be asked for; these have: {others}"),
            };
            problems.add(section.place(), message);
            return None;
        };
        let provider = (known.read)(&mut section, problems);
        let url = UrlTemplate::read(url.as_deref().unwrap_or(known.url), &section, &[], templates, problems);
        let base = url.as_ref().and_then(|url| read_base(url, &section, templates, problems));
        let every = Duration::from(every?);
        let is_here = url.as_ref().is_some_and(UrlTemplate::is_loopback);
        if !(LEAST_EVERY..=MOST_EVERY).contains(&every) && !is_here {
            problems.add(section.path("every"), "must be from 1m to 24h; 15m is usual");
        }
        section.finish(problems);
        let keeps = Duration::from_secs(known.keeps_days * 24 * 3600);
        Some(Self { every, url: url?, base: base?, key: key?, provider: provider?, keeps })
    }

    /// Whether events are fetched, rather than redelivered to ingest.
    pub(crate) fn fetches(&self) -> bool {
        !matches!(self.provider, Provider::GitHub(_) | Provider::GitLab(_))
    }

    /// How many redeliveries are requested per minute. GitHub advises one second between requests
    /// (<https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api>); GitLab accepts five per minute
    /// (<https://docs.gitlab.com/api/project_webhooks/#resend-a-project-webhook-event>).
    pub(crate) fn requests_a_minute(&self) -> u32 {
        if matches!(self.provider, Provider::GitLab(_)) { 5 } else { 30 }
    }

    /// The pause between such requests.
    #[must_use]
    pub fn pause(&self) -> Duration {
        if matches!(self.provider, Provider::GitLab(_)) {
            Duration::from_secs(12)
        } else {
            Duration::from_secs(1)
        }
    }
    /// Checks that a fetched event of this source gets the same identity as a delivered one, although it has no headers and other bytes.
    pub(super) fn check_identity(
        &self,
        source: &str,
        identity: Option<&Template>,
        templates: &Templates,
        problems: &mut Problems,
    ) {
        let Some(identity) = identity.filter(|_| self.fetches() && !templates.are_checked()) else { return };
        let differ: Vec<_> =
            ["headers", "digest"].into_iter().filter(|name| templates.uses(identity, name)).collect();
        if !differ.is_empty() {
            let names = differ.join(", ");
            problems.add(
                identity.field(),
                format!(
                    "{names} of a fetched event differs from that of a delivered one, so that it would be another effect; use event_id or \
                     event, or remove reconcile of source {source}"
                ),
            );
        }
    }
}

fn read_base(
    url: &UrlTemplate,
    section: &Section,
    templates: &Templates,
    problems: &mut Problems,
) -> Option<Url> {
    if !url.is_https() && !url.is_loopback() {
        problems.add(section.path("url"), "http:// would show the key to others; write https://");
    }
    let base = url.render(templates, &Jinja::UNDEFINED);
    let base = base.map_err(|error| problems.add(section.path("url"), error)).ok()?;
    if base.query().is_some() || base.fragment().is_some() {
        problems.add(section.path("url"), "must end with the path: what is asked for is added to it");
    }
    Some(base)
}

fn read_stripe(section: &mut Section, problems: &mut Problems) -> Option<Provider> {
    let events = section.optional("events", "\"failed\" or \"all\"", problems);
    let account: Option<String> = section.optional("account", "\"acct_…\"", problems);
    if account.as_deref().is_some_and(|account| !is_word(account)) {
        problems.add(section.path("account"), "not the id of an account; write \"acct_…\"");
    }
    Some(Provider::Stripe { events: events.unwrap_or_default(), account })
}

fn read_hook(section: &mut Section, problems: &mut Problems) -> Option<Provider> {
    let repository: Option<String> = section.optional("repository", "\"owner/name\"", problems);
    let organization: Option<String> = section.optional("organization", "its name", problems);
    let app: Option<String> = section.optional("app", "the client id of the GitHub App", problems);
    let hook: Option<u64> = section.optional("hook", "the number of the webhook", problems);
    let one = "write { repository = \"owner/name\", hook = 1 }, { organization = \"name\", hook = 1 } or { app = \"its client id\" }";
    let names = [&repository, &organization, &app].into_iter().flatten();
    let legal = names.flat_map(|name| name.split('/')).all(is_word);
    match (repository, organization, app, hook) {
        (Some(name), None, None, Some(hook)) if legal && name.split('/').count() == 2 => {
            Some(Provider::GitHub(Hook::Repository(name, hook)))
        }
        (None, Some(name), None, Some(hook)) if legal && !name.contains('/') => {
            Some(Provider::GitHub(Hook::Organization(name, hook)))
        }
        (None, None, Some(id), None) if legal && !id.contains('/') => Some(Provider::GitHub(Hook::App(id))),
        _ => {
            problems.add(section.place(), format!("not one webhook of GitHub's; {one}"));
            None
        }
    }
}

fn read_gitlab_hook(section: &mut Section, problems: &mut Problems) -> Option<Provider> {
    let project: Option<String> = section.optional("project", "\"group/project\"", problems);
    let group: Option<String> = section.optional("group", "its path", problems);
    let hook: Option<u64> = section.optional("hook", "the number of the webhook", problems);
    let is_legal = |path: &String| path.split('/').all(is_word);
    match (project.filter(is_legal), group.filter(is_legal), hook) {
        (Some(path), None, Some(hook)) if path.contains('/') => {
            Some(Provider::GitLab(GitLabHook::Project(path, hook)))
        }
        (None, Some(path), Some(hook)) => Some(Provider::GitLab(GitLabHook::Group(path, hook))),
        _ => {
            let one = "write { project = \"group/project\", hook = 1 } or { group = \"group\", hook = 1 }";
            problems.add(section.place(), format!("not one webhook of GitLab's; {one}"));
            None
        }
    }
}

/// Whether a text can be used in a path or header without escaping.
fn is_word(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !name.is_empty() && name.bytes().all(legal) && name.bytes().any(|byte| byte != b'.')
}

#[cfg(test)]
mod tests;
