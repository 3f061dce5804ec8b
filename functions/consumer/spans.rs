//! The spans of a command: one for its conclusion, and below it one for each request to a third party.

use std::time::Instant;

use serde_json::{Value, json};

use super::{Worker, report::Conclusion, task::Task};
use crate::{
    config::{call::Call, in_doubt::LookUp},
    effects::record::Receipt,
    outcome::NotApplied,
    telemetry::span::{Kind, Span},
    trace::Traceparent,
};

impl Worker {
    /// Ends the span of a command.
    pub(super) fn end_span(&self, task: &Task, attempt: u32, conclusion: &Conclusion<'_>) {
        self.spans.end(&task.trace, || Span {
            trace: task.trace,
            parent: task.command.traceparent,
            kind: Kind::Consumer,
            name: format!("effect {}", task.step_id(&self.config)),
            began: task.began(),
            attributes: vec![
                ("driftq.run_id", json!(task.command.run_id)),
                ("driftq.effect_id", json!(task.effect.to_string())),
                ("driftq.step", json!(task.command.step)),
                ("driftq.source", json!(task.command.source.as_deref().unwrap_or_default())),
                ("driftq.attempt", json!(attempt)),
                ("driftq.outcome", json!(conclusion.outcome())),
            ],
            error: conclusion.error(),
        });
    }

    /// Ends the span of a call. `trace` is the context that was sent to the third party.
    pub(super) fn end_call(
        &self,
        task: &Task,
        (trace, began): (Traceparent, Instant),
        call: &Call,
        outcome: &Result<Receipt, NotApplied>,
    ) {
        self.spans.end(&trace, || {
            let (method, host) = (call.method.as_str(), call.url.destination());
            let mut attributes = request(method, &host);
            attributes.extend(
                outcome.as_ref().ok().map(|receipt| ("http.response.status_code", json!(receipt.status))),
            );
            Span {
                trace,
                parent: Some(task.trace),
                kind: Kind::Client,
                name: format!("{method} {host}"),
                began,
                attributes,
                error: outcome.as_ref().err().map(NotApplied::why),
            }
        });
    }

    /// Ends the span of a look-up.
    pub(super) fn end_look_up(&self, task: &Task, (trace, began): (Traceparent, Instant), look_up: &LookUp) {
        self.spans.end(&trace, || Span {
            trace,
            parent: Some(task.trace),
            kind: Kind::Client,
            name: format!("look-up {}", look_up.url.destination()),
            began,
            attributes: request("GET", &look_up.url.destination()),
            error: None,
        });
    }
}

fn request(method: &str, host: &str) -> Vec<(&'static str, Value)> {
    vec![("http.request.method", json!(method)), ("server.address", json!(host))]
}
