//! Ingest: verify ▶ route ▶ commands ▶ produce ▶ 2xx.
//!
//! [`signature`] the schemes · [`request`] unverified to verified · [`route`] to commands ·
//! [`outbox`] durable before anyone is told · [`runs`] the API for clients · [`reply`] the only table of statuses.

pub mod outbox;
pub mod reply;
pub mod request;
pub mod route;
pub mod runs;
pub mod signature;

use std::collections::HashMap;

use futures_util::future::try_join_all;
use jiff::Timestamp;
use lambda_http::{Body, Request, Response, http::Method};
use outbox::Outbox;
use reply::Reply;
use request::Unverified;
use signature::Key;

use crate::{
    config::{Config, ConfigError, Problem, source::Source},
    secrets::Secrets,
};

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
        let path: Vec<&str> = parts.uri.path().trim_matches('/').split('/').collect();
        let reply = match (&parts.method, path.as_slice()) {
            (&Method::POST, ["webhooks", source]) => match self.config.sources.get(*source) {
                Some(source) => {
                    self.webhook(Unverified { source, headers: &parts.headers, body: &body }, now).await
                }
                None => Reply::NotFound("no source has this name"),
            },
            (&Method::POST, ["runs"]) => self.start_run(&parts.headers, &body, now).await,
            (&Method::GET, ["runs", run_id]) => self.show_run(run_id).await,
            (&Method::GET, ["healthz"]) => self.health().await,
            (_, ["webhooks", _] | ["runs"]) => Reply::MethodNotAllowed("POST"),
            (_, ["runs", _] | ["healthz"]) => Reply::MethodNotAllowed("GET"),
            _ => Reply::NotFound("no such path"),
        };
        reply.into()
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
        let (run_id, effects) = match route::commands(&webhook, &self.config, now) {
            Ok(routed) => routed,
            Err(lacking) => {
                tracing::error!(source = source.name, error = %lacking, "a genuine webhook can't be worked on");
                return Reply::Unfit(lacking.to_string());
            }
        };
        let (event_type, event_id) = (webhook.event_type(), webhook.event_id());
        if effects.is_empty() {
            tracing::info!(%run_id, source = source.name, event_type, event_id, "no step wants this webhook");
            return Reply::NoStep(run_id);
        }
        match try_join_all(effects.iter().map(|routed| self.outbox.accept(routed, now))).await {
            Ok(_) => {
                let steps = effects.len();
                tracing::info!(%run_id, source = source.name, event_type, event_id, steps, "a webhook was accepted");
                Reply::Accepted { run_id, effects }
            }
            Err(error) => {
                tracing::error!(%run_id, %error, "a webhook could not be made durable");
                Reply::Unavailable
            }
        }
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
