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
//! | [`body`], [`document`], `names` | the verified body, its JSON, and the names that templates use |
//! | `rates` | the rate of each source |
//! | [`route`] | one command for each step that wants the event |
//! | [`outbox`], [`placement`] | makes each command durable, in the topic or in DynamoDB |
//! | [`wake`] | wakes the consumer |
//! | [`outcome`] | how a request has ended: its log lines, metrics and response |
//! | [`reply`] | all responses and their statuses |
//! | [`intake`] | the request itself: source, trace and time |
//!
//! Also: [`runs`] and [`parked`], the HTTP API for clients and operators; `operators`, its access control; `health` and `self_test`; [`preview`],
//! what a webhook would start, for the command line; [`fetched`], an event that the consumer has fetched from its provider.

pub mod body;
pub mod document;
pub mod event;
pub mod fetch;
pub mod fetched;
mod health;
pub mod intake;
pub mod keys;
mod names;
mod operators;
pub mod outbox;
pub mod outcome;
pub mod parked;
pub mod placement;
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
mod started_run;
pub mod wake;

use event::{Event, LambdaResponse, Request};
use fetch::{Fetch, FetchError};
use futures_util::{StreamExt as _, stream};
use http::{Method, StatusCode};
use intake::{API, Intake};
use jiff::Timestamp;
use keys::{Disabled, Keys};
use outbox::Outbox;
use outcome::{FailedCommand, Genuine, NotVerified, Outcome};
use placement::Placements;
use rates::Rates;
use reply::Reply;
use request::{Lacking, NotGenuine, UnverifiedWebhook, VerifiedWebhook};
use route::Origin;
use started_run::StartedRun;
use tracing::Instrument as _;
use wake::WakeUps;
use webhook_verify::{Answer, Asked, Refused, challenge};

use crate::{
    config::{Config, environment::Operators},
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
    pub async fn answer(&self, event: Event, xray: Option<&str>, now: Timestamp) -> LambdaResponse {
        let format = event.response_format();
        let reply = match event.into_request() {
            Ok(request) => self.handle(&request, xray, now).await,
            Err(malformed) => Reply::Malformed(malformed),
        };
        format.reply(reply.into())
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
        match (&request.method, path.as_slice()) {
            (&Method::POST, ["webhooks", source]) => {
                let trace = self.spans.of_request(&request.headers, xray);
                let Some(source) = self.config.sources.get(*source) else {
                    let outcome = Outcome::NotVerified(NotVerified::UnknownSource);
                    Intake::new("?", trace, now).end(&outcome, &self.spans).await;
                    return outcome.into_reply();
                };
                let intake = Intake::new(&source.name, trace, now);
                let webhook = self.webhook(UnverifiedWebhook { source, request }, intake.origin);
                let outcome = webhook.instrument(intake.log_span.clone()).await;
                intake.end(&outcome, &self.spans).await;
                outcome.into_reply().as_expected(&source.scheme)
            }
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
                let run = self.start_run(caller, &request.headers, &request.body, intake.origin);
                let outcome = run.instrument(intake.log_span.clone()).await;
                intake.end(&outcome, &self.spans).await;
                outcome.into_reply()
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
            Ok(answer) => answer.map_or(Reply::MethodNotAllowed("POST"), Reply::Exact),
            Err(_) => Reply::Unavailable,
        }
    }

    /// Handles a webhook.
    async fn webhook(&self, webhook: UnverifiedWebhook<'_>, origin: Origin<'_>) -> Outcome {
        let source = webhook.source;
        if webhook.request.body.len() > source.max_body {
            return Outcome::NotVerified(NotVerified::TooLarge { max: source.max_body });
        }
        match self.verify(webhook, origin.now).await {
            Ok(webhook) => Outcome::Genuine(self.genuine(webhook, origin).await),
            Err(outcome) => outcome,
        }
    }

    /// Handles an authentic webhook.
    async fn genuine(&self, webhook: VerifiedWebhook<'_>, origin: Origin<'_>) -> Genuine {
        if !self.rates.take(webhook.source(), origin.now) {
            return Genuine::OverRate;
        }
        if let Some(answer) = webhook.handshake() {
            return Genuine::Handshake(answer.clone());
        }
        if let Some(location) = webhook.confirmation() {
            let confirmed = Box::pin(self.fetch.confirm(location, origin.now)).await;
            return confirmed.map_or_else(Genuine::NotConfirmed, |()| Genuine::Confirmed);
        }
        self.start(webhook, origin).await
    }

    /// Verifies a webhook. If no key matches, the secret may have been rotated: newer keys are tried in the same request, since GitHub would not
    /// deliver it a second time.
    async fn verify<'a>(
        &self,
        webhook: UnverifiedWebhook<'a>,
        now: Timestamp,
    ) -> Result<VerifiedWebhook<'a>, Outcome> {
        if let Some(location) = webhook.certificate()? {
            let key = Box::pin(self.fetch.key(&webhook.source.scheme, &location, now)).await;
            let key = key.map_err(|error| match error {
                FetchError::NoCertificate(_) => Outcome::NotGenuine(NotGenuine::Certificate(error)),
                FetchError::Unavailable(..) => Outcome::NotVerified(NotVerified::NoCertificate(error)),
            })?;
            return Ok(webhook.verify(&[key], now)?);
        }
        let verify = |keys: &Keys| Ok(webhook.verify(keys.of(webhook.source)?, now)?);
        let keys = self.keys.fresh(now).await;
        match verify(&keys) {
            Err(
                failed @ (Outcome::NotVerified(NotVerified::Disabled(_))
                | Outcome::NotGenuine(NotGenuine::Signature(Refused::Forged))),
            ) => {
                let newer = self.keys.other_than(&keys, now).await;
                newer.map_or(Err(failed), |newer| verify(&newer))
            }
            verified => verified,
        }
    }

    /// Starts all events of a webhook. If not all commands are durable, the provider redelivers.
    async fn start(&self, webhook: VerifiedWebhook<'_>, origin: Origin<'_>) -> Genuine {
        let runs = match self.route(webhook, origin) {
            Ok(runs) => runs,
            Err(lacking) => return Genuine::Lacking(lacking),
        };
        match self.make_durable(&runs, origin.now).await {
            Ok(placed) => Genuine::Accepted(runs, placed),
            Err(failed) => Genuine::NotDurable(failed),
        }
    }

    /// The runs that a webhook's events start.
    fn route(&self, webhook: VerifiedWebhook<'_>, origin: Origin<'_>) -> Result<Vec<StartedRun>, Lacking> {
        let run = |event: VerifiedWebhook<'_>| {
            let (run_id, effects) = route::commands(&event, &self.config, origin)?;
            Ok(StartedRun { run_id, event: event.into_identity(), effects })
        };
        webhook.events(&self.config.templates)?.into_iter().map(run).collect()
    }

    /// Makes commands durable. The consumer is not woken for a webhook without commands.
    async fn make_durable(
        &self,
        runs: &[StartedRun],
        now: Timestamp,
    ) -> Result<Placements, Box<FailedCommand>> {
        let mut placed = Placements::default();
        if runs.iter().all(|run| run.effects.is_empty()) {
            return Ok(placed);
        }
        let keys = self.keys.get();
        let keys = keys.commands();
        // Boxed: the future takes several KB, and is copied several times.
        let accept = |routed| Box::pin(async move { (routed, self.outbox.accept(routed, keys, now).await) });
        let all = async {
            let mut accepted =
                stream::iter(runs.iter().flat_map(|run| &run.effects).map(accept)).buffer_unordered(AT_ONCE);
            while let Some((routed, accepted)) = accepted.next().await {
                placed.add(&accepted);
                if let Err(error) = accepted {
                    return Err(FailedCommand { effect: routed.effect.clone(), error, placed }.into());
                }
            }
            Ok(placed)
        };
        self.wake_ups.beside(all).await
    }
}

impl From<NotGenuine> for Outcome {
    fn from(why: NotGenuine) -> Self {
        Self::NotGenuine(why)
    }
}

impl From<Disabled> for Outcome {
    fn from(disabled: Disabled) -> Self {
        Self::NotVerified(NotVerified::Disabled(disabled))
    }
}
