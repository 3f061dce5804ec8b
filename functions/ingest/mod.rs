//! Ingest: verify ▶ route ▶ commands ▶ produce ▶ 2xx.
//!
//! [`signature`] the schemes · [`keys`] what they are checked with · [`request`] unverified to verified ·
//! [`route`] to commands · [`outbox`] durable before anyone is told · [`runs`] the API for clients ·
//! [`parked`] the API for whoever decides · [`reply`] the only table of statuses.

pub mod keys;
pub mod outbox;
pub mod parked;
pub mod reply;
pub mod request;
pub mod route;
pub mod runs;
pub mod signature;

use futures_util::{TryStreamExt as _, stream};
use jiff::Timestamp;
use keys::Keys;
use lambda_http::{
    Body, Request, Response,
    http::{Method, StatusCode},
};
use outbox::Outbox;
use reply::Reply;
use request::{Unverified, Verified};
use signature::{Refused, challenge};

use crate::{config::Config, secrets::Current};

/// Commands that are made durable at the same time: a batch of webhooks may hold thousands.
const AT_ONCE: usize = 16;

/// All that ingest needs, made once.
#[derive(Debug)]
pub struct Ingest {
    config: Config,
    keys: Current<Keys>,
    outbox: Outbox,
}

impl Ingest {
    /// Puts it together.
    #[must_use]
    pub fn new(config: Config, keys: Current<Keys>, outbox: Outbox) -> Self {
        Self { config, keys, outbox }
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
            (&Method::GET, ["webhooks", source]) => self.challenge(source, query, now).await,
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
    async fn challenge(&self, source: &str, query: &str, now: Timestamp) -> Reply {
        let Some(source) = self.config.sources.get(source) else { return Reply::MethodNotAllowed("POST") };
        let keys = self.keys.fresh(now).await;
        let mut answer = challenge(&source.scheme, query, keys.of(source));
        if answer.as_ref().is_some_and(|answer| answer.status == StatusCode::FORBIDDEN)
            && let Some(newer) = self.keys.other_than(&keys, now).await
        {
            answer = challenge(&source.scheme, query, newer.of(source));
        }
        answer.map_or(Reply::MethodNotAllowed("POST"), Reply::Answer)
    }

    /// Where no key fits, the secret may have been rotated: newer keys are tried, in the same request. GitHub would not
    /// deliver it a second time.
    async fn verify<'a>(&self, webhook: Unverified<'a>, now: Timestamp) -> Result<Verified<'a>, Refused> {
        let source = webhook.source;
        let keys = self.keys.fresh(now).await;
        match webhook.clone().verify(keys.of(source), now) {
            Err(Refused::Forged) => match self.keys.other_than(&keys, now).await {
                Some(newer) => webhook.verify(newer.of(source), now),
                None => Err(Refused::Forged),
            },
            verified => verified,
        }
    }

    async fn webhook(&self, webhook: Unverified<'_>, now: Timestamp) -> Reply {
        let source = webhook.source;
        if webhook.body.len() > source.max_body {
            return Reply::TooLarge { max: source.max_body };
        }
        let webhook = match self.verify(webhook, now).await {
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
