//! Ingest: verify ▶ route ▶ commands ▶ produce ▶ 2xx.
//!
//! In the order of the data path:
//!
//! | module | what |
//! |---|---|
//! | [`event`], [`query`] | AWS's events in, responses out |
//! | [`keys`] | the keys of each source, derived from secrets |
//! | [`webhook_verify`] | the signature schemes: verification, and the event's identity |
//! | [`fetch`] | certificates and confirmations that SNS needs |
//! | [`request`] | from an unverified to a verified webhook |
//! | [`body`], `names` | the verified body, and the names that templates use |
//! | `rates` | the rate of each source |
//! | [`route`] | one command for each step that wants the event |
//! | [`outbox`] | makes each command durable, in the topic or in DynamoDB |
//! | [`wake`] | wakes the consumer |
//! | [`reply`] | all responses and their statuses |
//! | [`intake`] | logs and metrics of one request |
//!
//! Also: [`runs`] and [`parked`], the HTTP API for clients and operators; `operators`, its access control; `health` and `self_test`; [`preview`],
//! what a webhook would start, for the command line; [`fetched`], an event that the consumer has fetched from its provider.

pub mod body;
pub mod event;
pub mod fetch;
pub mod fetched;
mod health;
pub mod intake;
pub mod keys;
mod names;
mod operators;
pub mod outbox;
pub mod parked;
pub mod preview;
pub mod query;
mod rates;
#[cfg(test)]
mod replay;
pub mod reply;
pub mod request;
pub mod route;
pub mod runs;
mod self_test;
pub mod wake;

use event::{Event, Request, Written};
use fetch::{Failed, Fetch};
use futures_util::{TryStreamExt as _, stream};
use http::{Method, StatusCode};
use intake::{API, Intake};
use jiff::Timestamp;
use keys::{Disabled, Keys};
use outbox::{NotDurable, Outbox};
use rates::Rates;
use reply::Reply;
use request::{Refused, Unverified, Verified};
use route::Routed;
use serde_json::json;
use wake::WakeUps;
use webhook_verify::{Answer, Asked, Location, challenge};

use crate::{
    config::{Config, environment::Operators},
    effect_id::{EffectId, RunId},
    effects::{Table, guard::decide::Decisions, health::Health, listing::Listing, request::IdempotencyKeys},
    secrets::Current,
    telemetry::spans::Spans,
};

/// Commands made durable at the same time: a batch of webhooks may contain thousands.
const AT_ONCE: usize = 16;

/// The ingest function's configuration and clients.
#[derive(Debug)]
pub struct Ingest {
    config: Config,
    keys: Current<Keys>,
    fetch: Fetch,
    outbox: Outbox,
    listing: Listing,
    decisions: Decisions,
    idempotency_keys: IdempotencyKeys,
    table_health: Health,
    wake_ups: WakeUps,
    operators: Operators,
    rates: Rates,
    spans: Spans,
}

const NO_PATH: Reply = Reply::NotFound("no such path");

impl Ingest {
    /// Creates it.
    #[must_use]
    pub fn new(
        config: Config,
        keys: Current<Keys>,
        fetch: Fetch,
        outbox: Outbox,
        table: &Table,
        wake_ups: WakeUps,
        operators: Operators,
    ) -> Self {
        let rates = Rates::new(&config, Timestamp::now());
        Self {
            config,
            keys,
            fetch,
            outbox,
            listing: table.listing(),
            decisions: table.decisions(),
            idempotency_keys: table.idempotency_keys(),
            table_health: table.health(),
            wake_ups,
            operators,
            rates,
            spans: Spans::default(),
        }
    }

    /// Adds an exporter of spans.
    #[must_use]
    pub fn with_spans(self, spans: Spans) -> Self {
        Self { spans, ..self }
    }

    /// Handles one event, and responds in its own format. `xray` is the trace that Lambda passes for it.
    pub async fn answer(&self, event: Event, xray: Option<&str>, now: Timestamp) -> Written {
        let shape = event.shape();
        let reply = match event.into_request() {
            Ok(request) => self.handle(&request, xray, now).await,
            Err(malformed) => Reply::Malformed(malformed),
        };
        shape.reply(reply.into())
    }

    /// Routes a request. Rarely used branches are boxed: otherwise they would enlarge every webhook's future, which is copied several times.
    async fn handle(&self, request: &Request, xray: Option<&str>, now: Timestamp) -> Reply {
        // Not normalised: `//runs/` is another path than `/runs`, and a gateway may allow it without authentication.
        let path: Vec<&str> = request.path.strip_prefix('/').unwrap_or_default().split('/').collect();
        if path.contains(&"") {
            return NO_PATH;
        }
        if let ["runs" | "parked" | "self-test", ..] = path[..] {
            return match self.operators.let_in(request.caller.as_ref()) {
                Some(caller) => Box::pin(self.operate(caller, &path, request, xray, now)).await,
                None => NO_PATH,
            };
        }
        let intake = |source| Intake::new(source, self.spans.of_request(&request.headers, xray), now);
        match (&request.method, path.as_slice()) {
            (&Method::POST, ["webhooks", source]) => match self.config.sources.get(*source) {
                Some(source) => {
                    let intake = intake(&source.name);
                    let webhook = self.webhook(Unverified { source, request }, &intake);
                    intake.take(&self.spans, webhook).await.as_expected(&source.scheme)
                }
                None => {
                    let intake = intake("?");
                    intake.take(&self.spans, unknown_source(&intake)).await
                }
            },
            (&Method::GET, ["webhooks", source]) => Box::pin(self.challenge(source, request, now)).await,
            (&Method::GET, ["healthz"]) => Box::pin(self.health()).await,
            (_, ["webhooks", _]) => Reply::MethodNotAllowed("POST"),
            (_, ["healthz"]) => Reply::MethodNotAllowed("GET"),
            _ => NO_PATH,
        }
    }

    /// The routes for clients and operators.
    async fn operate(
        &self,
        caller: &str,
        path: &[&str],
        request: &Request,
        xray: Option<&str>,
        now: Timestamp,
    ) -> Reply {
        match (&request.method, path) {
            (&Method::POST, ["runs"]) => {
                let intake = Intake::new(API, self.spans.of_request(&request.headers, xray), now);
                let run = self.start_run(caller, &request.headers, &request.body, &intake);
                intake.take(&self.spans, run).await
            }
            (&Method::GET, ["runs", run_id]) => self.show_run(run_id).await,
            (&Method::GET, ["parked"]) => self.show_parked(request.query.text()).await,
            (&Method::POST, ["parked", "decide"]) => self.decide_all(caller, &request.body, now).await,
            (&Method::POST, ["runs", run_id, "decide"]) => {
                self.decide(caller, run_id, &request.body, now).await
            }
            (&Method::GET, ["self-test"]) => self.self_test(now).await,
            (_, ["runs"] | ["runs", _, "decide"] | ["parked", "decide"]) => Reply::MethodNotAllowed("POST"),
            (_, ["runs", _] | ["parked"] | ["self-test"]) => Reply::MethodNotAllowed("GET"),
            _ => NO_PATH,
        }
    }

    /// Answers a GET: Meta and Okta send one when the URL is entered.
    async fn challenge(&self, source: &str, request: &Request, now: Timestamp) -> Reply {
        let Some(source) = self.config.sources.get(source) else { return Reply::MethodNotAllowed("POST") };
        let answer = |keys: &Keys| {
            let asked = Asked { headers: &request.headers, query: request.query.text() };
            let answer = challenge(&source.scheme, &asked, keys.token(source)?);
            let allowed = source.allow.includes(request.source_ip);
            Ok(answer.map(|answer| if allowed { answer } else { Answer::forbidden() }))
        };
        let keys = self.keys.fresh(now).await;
        let mut answered: Result<_, Disabled> = answer(&keys);
        let refused = |answer: &Option<Answer>| {
            answer.as_ref().is_some_and(|answer| answer.status == StatusCode::FORBIDDEN)
        };
        if answered.as_ref().map_or(true, refused)
            && let Some(newer) = self.keys.other_than(&keys, now).await
        {
            answered = answer(&newer);
        }
        match answered {
            Ok(answer) => answer.map_or(Reply::MethodNotAllowed("POST"), Reply::Answer),
            Err(_) => Reply::Unavailable,
        }
    }

    async fn webhook(&self, webhook: Unverified<'_>, intake: &Intake) -> Reply {
        let source = webhook.source;
        if webhook.request.body.len() > source.max_body {
            intake.refused("too-large", "the body is over the source's max_body");
            return Reply::TooLarge { max: source.max_body };
        }
        let webhook = match self.verify(webhook, intake.now).await {
            Ok(webhook) => webhook,
            Err(NotVerified::Refused(refused)) => {
                intake.is_genuine(false);
                intake.refused(intake::reason(&refused), &refused.to_string());
                return Reply::NotGenuine;
            }
            Err(NotVerified::NoCertificate(failed @ Failed::NoCertificate(_))) => {
                intake.is_genuine(false);
                intake.refused("forged", &failed.to_string());
                return Reply::NotGenuine;
            }
            Err(NotVerified::NoCertificate(failed)) => {
                intake.disabled(&failed);
                return Reply::Unavailable;
            }
            Err(NotVerified::Disabled(disabled)) => {
                intake.disabled(&disabled);
                return Reply::Unavailable;
            }
        };
        intake.is_genuine(true);
        if !self.rates.take(source, intake.now) {
            intake.refused("rate", "it is genuine, and over the rate of its source");
            return Reply::TooMany;
        }
        if let Some(answer) = webhook.handshake() {
            let duration_ms = intake.duration_ms();
            tracing::info!(outcome = "handshake", duration_ms, "a provider shook hands");
            return Reply::Answer(answer.clone());
        }
        if let Some(location) = webhook.confirmation() {
            return self.confirm(location, intake).await;
        }
        self.start(webhook, intake).await
    }

    /// Confirms a subscription. If that fails now, the provider asks again.
    async fn confirm(&self, location: &Location, intake: &Intake) -> Reply {
        match self.fetch.confirm(location, intake.now).await {
            Ok(()) => {
                let duration_ms = intake.duration_ms();
                tracing::info!(outcome = "handshake", duration_ms, "a subscription was confirmed");
                Reply::Found(json!({ "confirmed": true }))
            }
            Err(failed) => {
                intake.disabled(&failed);
                Reply::Unavailable
            }
        }
    }

    /// Verifies a webhook. If no key matches, the secret may have been rotated: newer keys are tried in the same request, since GitHub would not
    /// deliver it a second time.
    async fn verify<'a>(&self, webhook: Unverified<'a>, now: Timestamp) -> Result<Verified<'a>, NotVerified> {
        if let Some(location) = webhook.certificate()? {
            let key = self.fetch.key(&webhook.source.scheme, &location, now).await?;
            return Ok(webhook.verify(&[key], now)?);
        }
        let verify = |keys: &Keys| Ok(webhook.verify(keys.of(webhook.source)?, now)?);
        let keys = self.keys.fresh(now).await;
        match verify(&keys) {
            Err(
                failed @ (NotVerified::Disabled(_)
                | NotVerified::Refused(Refused::Signature(webhook_verify::Refused::Forged))),
            ) => {
                let newer = self.keys.other_than(&keys, now).await;
                newer.map_or(Err(failed), |newer| verify(&newer))
            }
            verified => verified,
        }
    }

    /// Starts all events of a webhook, or responds 503, so that the provider redelivers.
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
        if let Err((effect, error)) = self.make_durable(&runs, intake).await {
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

    /// Makes commands durable. The consumer is not woken for a webhook without commands.
    async fn make_durable<'a>(
        &self,
        runs: &'a [(RunId, Vec<Routed>)],
        intake: &Intake,
    ) -> Result<(), (&'a EffectId, NotDurable)> {
        if runs.iter().all(|(_, effects)| effects.is_empty()) {
            return Ok(());
        }
        let effects = runs.iter().flat_map(|(_, effects)| effects).map(Ok);
        let keys = self.keys.get();
        let keys = keys.commands();
        // Boxed: the future takes several KB, and is copied several times.
        let accept = |routed: &'a Routed| {
            Box::pin(async move {
                self.outbox.accept(routed, keys, intake).await.map_err(|error| (&routed.effect, error))
            })
        };
        self.wake_ups.beside(stream::iter(effects).try_for_each_concurrent(AT_ONCE, accept)).await
    }
}

/// Why a webhook was not verified.
enum NotVerified {
    /// Because of the webhook.
    Refused(Refused),
    /// Because of our keys: it may be authentic.
    Disabled(Disabled),
    /// Because the certificate that it names is not available.
    NoCertificate(Failed),
}

impl From<Failed> for NotVerified {
    fn from(failed: Failed) -> Self {
        Self::NoCertificate(failed)
    }
}

impl From<Refused> for NotVerified {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<Disabled> for NotVerified {
    fn from(disabled: Disabled) -> Self {
        Self::Disabled(disabled)
    }
}

async fn unknown_source(intake: &Intake) -> Reply {
    const WHY: &str = "no source has this name";
    intake.refused("unknown-source", WHY);
    Reply::NotFound(WHY)
}
