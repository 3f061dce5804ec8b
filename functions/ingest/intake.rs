//! One request to ingest: its source, its trace, and when it began. When it has ended, its outcome is logged, recorded and counted.

use std::time::Instant;

use jiff::Timestamp;
use serde_json::json;
use tracing::Instrument as _;

use super::{
    outcome::{Ending, Outcome},
    route::Origin,
};
use crate::{
    telemetry::{
        line::Line,
        metrics::{
            ACCEPTED, BROKER_REFUSALS, COMMANDS, DEFERRED, DISABLED, GENUINE, INGEST_LATENCY, NOT_DURABLE,
            PARKED, REFUSED,
        },
        span::{Kind, Span},
        spans::{INGEST_PATIENCE, Spans},
    },
    trace::Traceparent,
};

/// The source name of runs that clients start.
pub const API: &str = "api";

/// A request that may create commands.
#[derive(Debug)]
pub struct Intake<'a> {
    /// What its commands say about it.
    pub origin: Origin<'a>,
    /// Source and trace, for all log lines.
    pub log_span: tracing::Span,
    /// The sender's span, if this request is recorded.
    parent: Option<Traceparent>,
    began: Instant,
}

impl<'a> Intake<'a> {
    /// Starts the record of a request.
    #[must_use]
    pub fn new(source: &'a str, (trace, parent): (Traceparent, Option<Traceparent>), now: Timestamp) -> Self {
        let log_span = tracing::info_span!("intake", source, trace_id = trace.trace_id());
        Self { origin: Origin { source, trace, now }, log_span, parent, began: Instant::now() }
    }

    /// Logs the outcome, sends the request's span, and prints the metrics.
    pub async fn end(self, outcome: &Outcome, spans: &Spans) {
        let ending = outcome.ending();
        self.log_span.in_scope(|| ending.log(self.duration_ms()));
        // Unauthenticated requests must not fill a collector or make us wait for it.
        if outcome.is_authenticated() {
            spans.end(&self.origin.trace, || self.span(&ending));
        }
        spans.export(INGEST_PATIENCE).instrument(self.log_span.clone()).await;
        self.line(&ending, outcome).print();
    }

    fn span(&self, ending: &Ending<'_>) -> Span<'static> {
        let Origin { source, trace, .. } = self.origin;
        let outcome = ending.name();
        Span {
            trace,
            parent: self.parent,
            kind: Kind::Server,
            name: if source == API { "POST /runs".to_owned() } else { format!("POST /webhooks/{source}") },
            began: self.began,
            attributes: vec![
                ("http.request.method", json!("POST")),
                ("driftq.source", json!(source)),
                ("driftq.outcome", json!(outcome)),
            ],
            error: ending.is_error().then_some(outcome),
        }
    }

    /// The time since it was received.
    fn duration_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn line(&self, ending: &Ending<'_>, outcome: &Outcome) -> Line<'a> {
        let line = match ending {
            Ending::Accepted(_) | Ending::Started { .. } => Line::default().count(&ACCEPTED, 1),
            Ending::Refused { reason, .. } => Line::default().count(&REFUSED, 1).property("Reason", reason),
            Ending::Disabled(_) => Line::default().count(&DISABLED, 1),
            Ending::NotDurable(_) => Line::default().count(&NOT_DURABLE, 1),
            Ending::Handshake(_) => Line::default(),
        };
        let line = match outcome.is_genuine() {
            Some(genuine) => line.count(&GENUINE, genuine.into()),
            None => line,
        };
        let placed = outcome.placed();
        line.property("Source", self.origin.source)
            .property("Function", "ingest")
            .count_if_any(&COMMANDS, placed.durable())
            .count_if_any(&DEFERRED, placed.deferred)
            .count_if_any(&PARKED, placed.parked)
            .count_if_any(&BROKER_REFUSALS, placed.broker_refusals)
            .count(&INGEST_LATENCY, self.duration_ms())
    }
}
