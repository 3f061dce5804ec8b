//! Ingest: verify ▶ route ▶ commands ▶ produce ▶ 2xx.
//!
//! [`signature`] the schemes · [`request`] unverified to verified · [`route`] to commands ·
//! [`outbox`] durable before anyone is told · [`runs`] the API for clients · [`reply`] the only table of statuses ·
//! [`intake`] what a request comes to, for log and metrics.

pub mod intake;
pub mod outbox;
pub mod reply;
pub mod request;
pub mod route;
pub mod runs;
pub mod signature;

use std::collections::HashMap;

use futures_util::{TryStreamExt as _, stream};
use intake::{API, Intake};
use jiff::Timestamp;
use lambda_http::{Body, Request, RequestExt as _, Response, http::Method};
use outbox::Outbox;
use reply::Reply;
use request::{Unverified, Verified};
use signature::{Key, challenge};

use crate::{
    config::{Config, ConfigError, Problem, source::Source},
    secrets::Secrets,
    trace::Traceparent,
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
        let xray = request.lambda_context_ref().and_then(|context| context.xray_trace_id.clone());
        let (parts, body) = request.into_parts();
        let body = match body {
            Body::Text(text) => text.into_bytes(),
            Body::Binary(bytes) => bytes,
            _ => Vec::new(),
        };
        let query = parts.uri.query().unwrap_or_default();
        let path: Vec<&str> = parts.uri.path().trim_matches('/').split('/').collect();
        let intake =
            |source| Intake::new(source, Traceparent::of_request(&parts.headers, xray.as_deref()), now);
        let reply = match (&parts.method, path.as_slice()) {
            (&Method::POST, ["webhooks", source]) => match self.config.sources.get(*source) {
                Some(source) => {
                    let webhook = Unverified { source, headers: &parts.headers, query, body: &body };
                    let intake = intake(&source.name);
                    intake.take(self.webhook(webhook, &intake)).await.as_expected(&source.scheme)
                }
                None => {
                    let intake = intake("?");
                    intake.take(unknown_source(&intake)).await
                }
            },
            (&Method::GET, ["webhooks", source]) => self.challenge(source, query),
            (&Method::POST, ["runs"]) => {
                let intake = intake(API);
                intake.take(self.start_run(&parts.headers, &body, &intake)).await
            }
            (&Method::GET, ["runs", run_id]) => self.show_run(run_id).await,
            (&Method::GET, ["healthz"]) => self.health().await,
            (_, ["webhooks", _] | ["runs"]) => Reply::MethodNotAllowed("POST"),
            (_, ["runs", _] | ["healthz"]) => Reply::MethodNotAllowed("GET"),
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

    async fn webhook(&self, webhook: Unverified<'_>, intake: &Intake) -> Reply {
        let source = webhook.source;
        if webhook.body.len() > source.max_body {
            intake.refused("too-large", "the body is over the source's max_body");
            return Reply::TooLarge { max: source.max_body };
        }
        let keys = self.keys.get(&source.name).map(Vec::as_slice).unwrap_or_default();
        let webhook = match webhook.verify(keys, intake.now) {
            Ok(webhook) => webhook,
            Err(refused) => {
                intake.refused(intake::reason(&refused), &refused.to_string());
                return Reply::NotGenuine;
            }
        };
        if let Some(answer) = webhook.handshake() {
            let duration_ms = intake.duration_ms();
            tracing::info!(outcome = "handshake", duration_ms, "a provider shook hands");
            return Reply::Answer(answer.clone());
        }
        self.start(&webhook.events(), intake).await
    }

    /// All events of a webhook are started, or the provider hears that they are not: it delivers again then.
    async fn start(&self, events: &[Verified<'_>], intake: &Intake) -> Reply {
        let routed: Result<Vec<_>, _> =
            events.iter().map(|event| route::commands(event, &self.config, intake.now)).collect();
        let runs = match routed {
            Ok(runs) => runs,
            Err(lacking) => {
                intake.refused("unfit", &lacking.to_string());
                return Reply::Unfit(lacking.to_string());
            }
        };
        let effects = runs.iter().flat_map(|(_, effects)| effects).map(Ok);
        let accept = |routed| async move {
            self.outbox.accept(routed, intake).await.map_err(|error| (&routed.effect, error))
        };
        if let Err((effect, error)) = stream::iter(effects).try_for_each_concurrent(AT_ONCE, accept).await {
            intake.not_durable(effect, &error);
            return Reply::Unavailable;
        }
        intake.accepted();
        let duration_ms = intake.duration_ms();
        for (event, (run_id, effects)) in events.iter().zip(&runs) {
            let (event_type, event_id) = (event.event_type(), event.event_id());
            match effects.len() {
                0 => {
                    tracing::info!(outcome = "unwanted", %run_id, event_type, event_id, duration_ms, "no step wants this webhook");
                }
                steps => {
                    tracing::info!(outcome = "accepted", %run_id, event_type, event_id, steps, duration_ms, "a webhook was accepted");
                }
            }
        }
        Reply::Accepted(runs)
    }
}

async fn unknown_source(intake: &Intake) -> Reply {
    const WHY: &str = "no source has this name";
    intake.refused("unknown-source", WHY);
    Reply::NotFound(WHY)
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
