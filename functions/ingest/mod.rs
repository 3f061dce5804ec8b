//! Ingest: verify ▶ route ▶ commands ▶ produce ▶ 2xx.
//!
//! [`event`] what Lambda gets and wants back, with its [`query`] · [`signature`] the schemes ·
//! [`keys`] what they are checked with · [`request`] unverified to verified · [`body`] what it says ·
//! [`route`] to commands · [`outbox`] durable before anyone is told · [`runs`] the API for clients, with `health` ·
//! [`parked`] the API for whoever decides · [`reply`] the only table of statuses ·
//! [`intake`] what a request comes to, for log and metrics.

pub mod body;
pub mod event;
mod health;
pub mod intake;
pub mod keys;
pub mod outbox;
pub mod parked;
pub mod query;
pub mod reply;
pub mod request;
pub mod route;
pub mod runs;
pub mod signature;

use event::{Event, Request, Written};
use futures_util::{TryStreamExt as _, stream};
use http::{Method, StatusCode};
use intake::{API, Intake};
use jiff::Timestamp;
use keys::Keys;
use outbox::Outbox;
use reply::Reply;
use request::{Refused, Unverified, Verified};
use signature::challenge;

use crate::{config::Config, secrets::Current, trace::Traceparent};

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

    /// Answers one event with the reply that it wants. `xray` is the trace that Lambda names for it.
    pub async fn answer(&self, event: Event, xray: Option<&str>, now: Timestamp) -> Written {
        let shape = event.shape();
        let reply = match event.into_request() {
            Ok(request) => self.handle(&request, xray, now).await,
            Err(malformed) => Reply::Malformed(malformed),
        };
        shape.reply(reply.into())
    }

    async fn handle(&self, request: &Request, xray: Option<&str>, now: Timestamp) -> Reply {
        let path: Vec<&str> = request.path.trim_matches('/').split('/').collect();
        let intake = |source| Intake::new(source, Traceparent::of_request(&request.headers, xray), now);
        match (&request.method, path.as_slice()) {
            (&Method::POST, ["webhooks", source]) => match self.config.sources.get(*source) {
                Some(source) => {
                    let intake = intake(&source.name);
                    let webhook = self.webhook(Unverified { source, request }, &intake);
                    intake.take(webhook).await.as_expected(&source.scheme)
                }
                None => {
                    let intake = intake("?");
                    intake.take(unknown_source(&intake)).await
                }
            },
            (&Method::GET, ["webhooks", source]) => self.challenge(source, request, now).await,
            (&Method::POST, ["runs"]) => {
                let intake = intake(API);
                intake.take(self.start_run(&request.headers, &request.body, &intake)).await
            }
            (&Method::GET, ["runs", run_id]) => self.show_run(run_id).await,
            (&Method::GET, ["parked"]) => self.show_parked().await,
            (&Method::POST, ["runs", run_id, "decide"]) => self.decide(run_id, &request.body, now).await,
            (&Method::GET, ["healthz"]) => self.health().await,
            (_, ["webhooks", _] | ["runs"] | ["runs", _, "decide"]) => Reply::MethodNotAllowed("POST"),
            (_, ["runs", _] | ["parked"] | ["healthz"]) => Reply::MethodNotAllowed("GET"),
            _ => Reply::NotFound("no such path"),
        }
    }

    /// Only Meta asks by GET.
    async fn challenge(&self, source: &str, request: &Request, now: Timestamp) -> Reply {
        let Some(source) = self.config.sources.get(source) else { return Reply::MethodNotAllowed("POST") };
        let answer = |keys: &Keys| {
            let token = keys.token(source).filter(|_| source.allow.includes(request.source_ip));
            challenge(&source.scheme, request.query.text(), token)
        };
        let keys = self.keys.fresh(now).await;
        let mut answered = answer(&keys);
        if answered.as_ref().is_some_and(|answer| answer.status == StatusCode::FORBIDDEN)
            && let Some(newer) = self.keys.other_than(&keys, now).await
        {
            answered = answer(&newer);
        }
        answered.map_or(Reply::MethodNotAllowed("POST"), Reply::Answer)
    }

    async fn webhook(&self, webhook: Unverified<'_>, intake: &Intake) -> Reply {
        let source = webhook.source;
        if webhook.request.body.len() > source.max_body {
            intake.refused("too-large", "the body is over the source's max_body");
            return Reply::TooLarge { max: source.max_body };
        }
        let webhook = match self.verify(webhook, intake.now).await {
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
        self.start(webhook, intake).await
    }

    /// Where no key fits, the secret may have been rotated: newer keys are tried, in the same request. GitHub would not
    /// deliver it a second time.
    async fn verify<'a>(&self, webhook: Unverified<'a>, now: Timestamp) -> Result<Verified<'a>, Refused> {
        let source = webhook.source;
        let keys = self.keys.fresh(now).await;
        match webhook.verify(keys.of(source), now) {
            Err(refused @ Refused::Signature(signature::Refused::Forged)) => {
                let newer = self.keys.other_than(&keys, now).await;
                newer.map_or(Err(refused), |newer| webhook.verify(newer.of(source), now))
            }
            verified => verified,
        }
    }

    /// All events of a webhook are started, or the provider hears that they are not: it delivers again then.
    async fn start(&self, webhook: Verified<'_>, intake: &Intake) -> Reply {
        let routed = webhook.events(&self.config.templates).and_then(|events| {
            let commands = events.iter().map(|event| route::commands(event, &self.config, intake.now));
            let runs = commands.collect::<Result<Vec<_>, _>>()?;
            Ok((events, runs))
        });
        let (events, runs) = match routed {
            Ok(routed) => routed,
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
