//! Ingest: verify ▶ route ▶ commands ▶ produce ▶ 2xx.
//!
//! [`signature`] the schemes · [`request`] unverified to verified · [`route`] to commands ·
//! [`outbox`] durable before anyone is told · [`runs`] the API for clients · [`parked`] the API for whoever decides ·
//! [`reply`] the only table of statuses.

pub mod outbox;
pub mod parked;
pub mod reply;
pub mod request;
pub mod route;
pub mod runs;
pub mod signature;

use std::collections::HashMap;

use futures_util::{TryStreamExt as _, stream};
use jiff::Timestamp;
use lambda_http::{Body, Request, Response, http::Method};
use outbox::Outbox;
use reply::Reply;
use request::{Unverified, Verified};
use signature::{Key, challenge};

use crate::{
    config::{Config, ConfigError, Problem, source::Source},
    secrets::Secrets,
};

/// Commands that are made durable at the same time: a batch of webhooks may hold thousands.
const AT_ONCE: usize = 16;

/// All that ingest needs, made once.
#[derive(Debug)]
pub struct Ingest {
    config: Config,
    keys: HashMap<String, Vec<Key>>,
    outbox: Outbox,
}

impl Ingest {
    /// Prepares the keys of every source.
    ///
    /// # Errors
    /// Every secret that is not a key of its source's scheme.
    pub fn new(config: Config, secrets: &Secrets, outbox: Outbox) -> Result<Self, ConfigError> {
        let mut keys = HashMap::new();
        let mut problems = Vec::new();
        for source in config.sources.values() {
            match prepare_keys(source, secrets) {
                Ok(prepared) => drop(keys.insert(source.name.clone(), prepared)),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() {
            return Ok(Self { config, keys, outbox });
        }
        Err(ConfigError { file: "environment".to_owned(), problems })
    }

    /// Answers one request.
    pub async fn handle(&self, request: Request, now: Timestamp) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let body = match body {
            Body::Text(text) => text.into_bytes(),
            Body::Binary(bytes) => bytes,
            _ => Vec::new(),
        };
        let query = parts.uri.query().unwrap_or_default();
        let path: Vec<&str> = parts.uri.path().trim_matches('/').split('/').collect();
        let reply = match (&parts.method, path.as_slice()) {
            (&Method::POST, ["webhooks", source]) => match self.config.sources.get(*source) {
                Some(source) => {
                    let webhook = Unverified { source, headers: &parts.headers, query, body: &body };
                    self.webhook(webhook, now).await.as_expected(&source.scheme)
                }
                None => Reply::NotFound("no source has this name"),
            },
            (&Method::GET, ["webhooks", source]) => self.challenge(source, query),
            (&Method::POST, ["runs"]) => self.start_run(&parts.headers, &body, now).await,
            (&Method::GET, ["runs", run_id]) => self.show_run(run_id).await,
            (&Method::GET, ["parked"]) => self.show_parked().await,
            (&Method::POST, ["runs", run_id, "decide"]) => self.decide(run_id, &body, now).await,
            (&Method::GET, ["healthz"]) => self.health().await,
            (_, ["webhooks", _] | ["runs"] | ["runs", _, "decide"]) => Reply::MethodNotAllowed("POST"),
            (_, ["runs", _] | ["parked"] | ["healthz"]) => Reply::MethodNotAllowed("GET"),
            _ => Reply::NotFound("no such path"),
        };
        reply.into()
    }

    /// Only Meta asks by GET.
    fn challenge(&self, source: &str, query: &str) -> Reply {
        let answer = self.config.sources.get(source).and_then(|source| {
            let keys = self.keys.get(&source.name).map(Vec::as_slice).unwrap_or_default();
            challenge(&source.scheme, query, keys)
        });
        answer.map_or(Reply::MethodNotAllowed("POST"), Reply::Answer)
    }

    async fn webhook(&self, webhook: Unverified<'_>, now: Timestamp) -> Reply {
        let source = webhook.source;
        if webhook.body.len() > source.max_body {
            return Reply::TooLarge { max: source.max_body };
        }
        let keys = self.keys.get(&source.name).map(Vec::as_slice).unwrap_or_default();
        let webhook = match webhook.verify(keys, now) {
            Ok(webhook) => webhook,
            Err(refused) => {
                tracing::warn!(source = source.name, reason = %refused, "a webhook was refused");
                return Reply::NotGenuine;
            }
        };
        if let Some(answer) = webhook.handshake() {
            tracing::info!(source = source.name, "a provider shook hands");
            return Reply::Answer(answer.clone());
        }
        self.start(&source.name, &webhook.events(), now).await
    }

    /// All events of a webhook are started, or the provider hears that they are not: it delivers again then.
    async fn start(&self, source: &str, events: &[Verified<'_>], now: Timestamp) -> Reply {
        let routed: Result<Vec<_>, _> =
            events.iter().map(|event| route::commands(event, &self.config, now)).collect();
        let runs = match routed {
            Ok(runs) => runs,
            Err(lacking) => {
                tracing::error!(source, error = %lacking, "a genuine webhook can't be worked on");
                return Reply::Unfit(lacking.to_string());
            }
        };
        let effects = runs.iter().flat_map(|(_, effects)| effects).map(Ok);
        let accept = |routed| async move { self.outbox.accept(routed, now).await.map(drop) };
        if let Err(error) = stream::iter(effects).try_for_each_concurrent(AT_ONCE, accept).await {
            tracing::error!(source, %error, "a webhook could not be made durable");
            return Reply::Unavailable;
        }
        for (event, (run_id, effects)) in events.iter().zip(&runs) {
            let (event_type, event_id) = (event.event_type(), event.event_id());
            match effects.len() {
                0 => tracing::info!(%run_id, source, event_type, event_id, "no step wants this webhook"),
                steps => {
                    tracing::info!(%run_id, source, event_type, event_id, steps, "a webhook was accepted")
                }
            }
        }
        Reply::Accepted(runs)
    }
}

fn prepare_keys(source: &Source, secrets: &Secrets) -> Result<Vec<Key>, Problem> {
    let prepare = |name: &String| {
        let secret = secrets.get(name).map_or("", |secret| secret.expose());
        source.scheme.key(secret).map_err(|error| Problem {
            field: name.clone(),
            message: format!("{error}; source {} names it", source.name),
        })
    };
    source.secrets.iter().map(prepare).collect()
}
