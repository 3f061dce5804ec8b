//! One request to ingest: its source, its trace, and its outcome, which is logged and printed as metrics.

use std::{
    error::Error,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use jiff::Timestamp;
use serde_json::json;
use tracing::Instrument as _;

use super::{reply::Reply, request::Refused};
use crate::{
    effect_id::EffectId,
    telemetry::{
        line::Line,
        metrics::{
            ACCEPTED, BROKER_REFUSALS, COMMANDS, DEFERRED, DISABLED, GENUINE, INGEST_LATENCY, NOT_DURABLE,
            PARKED, REFUSED,
        },
        spans::{INGEST_PATIENCE, Kind, Span, Spans},
    },
    trace::Traceparent,
};

/// The source name of runs that clients start.
pub const API: &str = "api";

/// A request that may create commands.
#[derive(Debug)]
pub struct Intake {
    /// When it was received.
    pub now: Timestamp,
    /// The source, or [`API`].
    pub source: String,
    /// Its trace.
    pub trace: Traceparent,
    /// The sender's span, if this request is recorded.
    parent: Option<Traceparent>,
    began: Instant,
    outcome: OnceLock<Outcome>,
    genuine: OnceLock<bool>,
    queued: AtomicU64,
    deferred: AtomicU64,
    parked: AtomicU64,
    broker_refusals: AtomicU64,
}

/// The outcome of a request. A handshake has no outcome.
#[derive(Debug)]
enum Outcome {
    Accepted,
    Refused(&'static str),
    Disabled,
    NotDurable,
}

impl Intake {
    /// Starts the record of a request.
    #[must_use]
    pub fn new(source: &str, (trace, parent): (Traceparent, Option<Traceparent>), now: Timestamp) -> Self {
        let (source, began) = (source.to_owned(), Instant::now());
        let (outcome, genuine, queued, deferred, parked, broker_refusals) = Default::default();
        Self {
            now,
            source,
            trace,
            parent,
            began,
            outcome,
            genuine,
            queued,
            deferred,
            parked,
            broker_refusals,
        }
    }

    /// Runs `work`, with source and trace in all its log lines, and prints the metrics.
    pub async fn take(&self, spans: &Spans, work: impl Future<Output = Reply>) -> Reply {
        let span = tracing::info_span!("intake", source = self.source, trace_id = self.trace.trace_id());
        let work = async {
            let reply = work.await;
            if self.is_known() {
                spans.end(&self.trace, || self.span());
            }
            spans.export(INGEST_PATIENCE).await;
            reply
        };
        let reply = work.instrument(span).await;
        self.print();
        reply
    }

    /// Whether the sender was authenticated. Unauthenticated requests must not fill a collector or make us wait for it.
    fn is_known(&self) -> bool {
        self.genuine.get().copied().unwrap_or(self.source == API)
    }

    fn span(&self) -> Span<'_> {
        let outcome = match self.outcome.get() {
            Some(Outcome::Accepted) => "accepted",
            Some(Outcome::Refused(reason)) => *reason,
            Some(Outcome::Disabled) => "disabled",
            Some(Outcome::NotDurable) => "not_durable",
            None => "handshake",
        };
        let is_error = matches!(self.outcome.get(), Some(Outcome::Disabled | Outcome::NotDurable));
        Span {
            trace: self.trace,
            parent: self.parent,
            kind: Kind::Server,
            name: if self.source == API {
                "POST /runs".to_owned()
            } else {
                format!("POST /webhooks/{}", self.source)
            },
            began: self.began,
            attributes: vec![
                ("http.request.method", json!("POST")),
                ("driftq.source", json!(self.source)),
                ("driftq.outcome", json!(outcome)),
            ],
            error: is_error.then_some(outcome),
        }
    }

    /// The time since it was received.
    #[must_use]
    pub fn duration_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Records that a command is on the topic.
    pub fn queued(&self) {
        self.queued.fetch_add(1, Ordering::Relaxed);
    }

    /// Records that a command is in the table, to be worked on from there.
    pub fn deferred(&self) {
        self.deferred.fetch_add(1, Ordering::Relaxed);
    }

    /// Records that a command contradicts a record, and was parked.
    pub fn parked(&self) {
        self.parked.fetch_add(1, Ordering::Relaxed);
    }

    /// Records that the broker did not accept a command.
    pub fn broker_refused(&self) {
        self.broker_refusals.fetch_add(1, Ordering::Relaxed);
    }

    /// Logs a refusal. `why` is only for the log, and quotes nothing from the request.
    pub fn refused(&self, reason: &'static str, why: &str) {
        let duration_ms = self.duration_ms();
        tracing::warn!(outcome = "refused", reason, why, duration_ms, "a request was refused");
        self.outcome.get_or_init(|| Outcome::Refused(reason));
    }

    /// Logs that a webhook can't be verified, because a usable secret or its signing certificate is missing.
    pub fn disabled(&self, why: &dyn Error) {
        let duration_ms = self.duration_ms();
        tracing::error!(outcome = "disabled", %why, duration_ms, "a webhook can't be verified, for want of what it takes");
        self.outcome.get_or_init(|| Outcome::Disabled);
    }

    /// Records whether a webhook was verified.
    pub fn is_genuine(&self, genuine: bool) {
        self.genuine.get_or_init(|| genuine);
    }

    /// Records that all its commands are durable.
    pub fn accepted(&self) {
        self.outcome.get_or_init(|| Outcome::Accepted);
    }

    /// Logs that a command is not durable anywhere.
    pub fn not_durable(&self, effect: &EffectId, error: &dyn Error) {
        let (run_id, step, duration_ms) = (effect.run_id(), effect.step_id(), self.duration_ms());
        tracing::error!(outcome = "not_durable", %run_id, effect_id = %effect, %step, %error, duration_ms, "a command could not be made durable");
        self.outcome.get_or_init(|| Outcome::NotDurable);
    }

    fn print(&self) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (queued, deferred, parked) = (read(&self.queued), read(&self.deferred), read(&self.parked));
        let line = match self.outcome.get() {
            Some(Outcome::Accepted) => Line::default().count(&ACCEPTED, 1),
            Some(Outcome::Refused(reason)) => Line::default().count(&REFUSED, 1).property("Reason", reason),
            Some(Outcome::Disabled) => Line::default().count(&DISABLED, 1),
            Some(Outcome::NotDurable) => Line::default().count(&NOT_DURABLE, 1),
            None => Line::default(),
        };
        let line = match self.genuine.get() {
            Some(genuine) => line.count(&GENUINE, u64::from(*genuine)),
            None => line,
        };
        line.property("Source", &self.source)
            .property("Function", "ingest")
            .count_if_any(&COMMANDS, queued + deferred + parked)
            .count_if_any(&DEFERRED, deferred)
            .count_if_any(&PARKED, parked)
            .count_if_any(&BROKER_REFUSALS, read(&self.broker_refusals))
            .count(&INGEST_LATENCY, self.duration_ms())
            .print();
    }
}

/// The reason of a refusal, from a fixed set: each is a value of a metric's dimension.
#[must_use]
pub fn reason(refused: &Refused) -> &'static str {
    use webhook_verify::Refused as Signature;
    match refused {
        Refused::Signature(Signature::Missing(_)) => "unsigned",
        Refused::Signature(
            Signature::Repeated(_)
            | Signature::Malformed(_)
            | Signature::Contradicted(_)
            | Signature::TooMany(_)
            | Signature::Body(_)
            | Signature::Query
            | Signature::Unconfigured(_)
            | Signature::UnknownQuery,
        ) => "malformed",
        Refused::Signature(Signature::OutsideWindow { .. }) => "stale",
        Refused::Signature(Signature::Forged) => "forged",
        Refused::Address => "address",
    }
}
