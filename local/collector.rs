//! A trace collector: OTLP over HTTP and JSON (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>), behind a fault proxy that counts, delays and
//! replaces requests. It refuses what a real collector would refuse.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use axum::{Router, extract::State, http::HeaderMap, routing::post};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{sync::watch, time::timeout};

use crate::{
    http::Answer,
    proxy::FaultProxy,
    server::{ANY_PORT, Server},
};

/// A running collector.
#[derive(Debug)]
pub struct Collector {
    /// The fault proxy between it and the functions.
    pub proxy: FaultProxy,
    collected: Arc<Collected>,
    _server: Server,
}

#[derive(Debug, Default)]
struct Collected {
    spans: Mutex<Vec<Span>>,
    count: watch::Sender<usize>,
}

/// A span as received.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Span {
    /// 32 hex digits.
    pub trace_id: String,
    /// 16 hex digits.
    pub span_id: String,
    /// The parent span; empty for the first of a trace.
    #[serde(default)]
    pub parent_span_id: String,
    /// Its name.
    pub name: String,
    /// Its kind: 2 is a server's, 3 a client's, 5 a consumer's.
    pub kind: u8,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    attributes: Vec<Attribute>,
    /// Empty unless it failed.
    #[serde(default)]
    pub status: Value,
    /// The service that sent it.
    #[serde(skip)]
    pub service: String,
    /// The `authorization` header of its request.
    #[serde(skip)]
    pub authorization: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Attribute {
    key: String,
    value: Value,
}

impl Span {
    /// An attribute as text.
    #[must_use]
    pub fn attribute(&self, key: &str) -> Option<&str> {
        let value = &self.attributes.iter().find(|attribute| attribute.key == key)?.value;
        value["stringValue"].as_str().or_else(|| value["intValue"].as_str())
    }

    /// How long it took.
    #[must_use]
    pub fn duration(&self) -> Duration {
        let [start, end] =
            [&self.start_time_unix_nano, &self.end_time_unix_nano].map(|text| text.parse::<u64>());
        Duration::from_nanos(end.unwrap_or_default().saturating_sub(start.unwrap_or_default()))
    }

    fn check(&self) -> Result<(), &'static str> {
        let is_id = |text: &str, digits: usize| {
            text.len() == digits
                && text.bytes().all(|byte| byte.is_ascii_hexdigit())
                && text.bytes().any(|byte| byte != b'0')
        };
        if !is_id(&self.trace_id, 32) || !is_id(&self.span_id, 16) {
            return Err("an id is not hex, or is zero");
        }
        if !self.parent_span_id.is_empty() && !is_id(&self.parent_span_id, 16) {
            return Err("the parent's id is not hex, or is zero");
        }
        let times = [&self.start_time_unix_nano, &self.end_time_unix_nano].map(|text| text.parse::<u64>());
        let [Ok(start), Ok(end)] = times else { return Err("a time is no number in a text") };
        if start == 0 || start > end || self.name.is_empty() {
            return Err("it has no name, or ends before it begins");
        }
        let is_value = |attribute: &Attribute| {
            !attribute.key.is_empty()
                && (attribute.value["stringValue"].is_string() || attribute.value["intValue"].is_string())
        };
        self.attributes.iter().all(is_value).then_some(()).ok_or("an attribute has no key, or no value")
    }
}

impl Collector {
    /// Starts it.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start() -> Result<Self> {
        let collected = Arc::<Collected>::default();
        let router = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&collected));
        let server = Server::start(ANY_PORT, router).await.context("the collector")?;
        Ok(Self { proxy: FaultProxy::start(&server.url()).await?, collected, _server: server })
    }

    /// The environment variable that makes the functions send spans there, and its value.
    #[must_use]
    pub fn env(&self) -> (&'static str, String) {
        ("OTEL_EXPORTER_OTLP_ENDPOINT", self.proxy.url())
    }

    /// Waits for this many spans, and returns all so far.
    ///
    /// # Errors
    /// There are fewer after this time.
    pub async fn spans(&self, count: usize, within: Duration) -> Result<Vec<Span>> {
        let mut all = self.collected.count.subscribe();
        let reached = timeout(within, all.wait_for(|have| *have >= count)).await;
        let spans = self.collected.lock().clone();
        reached.with_context(|| format!("{count} spans are wanted: {spans:#?}"))??;
        Ok(spans)
    }
}

impl Collected {
    fn lock(&self) -> MutexGuard<'_, Vec<Span>> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn take(State(collected): State<Arc<Collected>>, headers: HeaderMap, body: Bytes) -> Answer {
    if headers.get("content-type").is_none_or(|value| value != "application/json") {
        return Answer::of_json(415, &json!({ "message": "application/json is wanted" }));
    }
    match read(&body) {
        Ok(mut spans) => {
            let authorization = headers.get("authorization").and_then(|value| value.to_str().ok());
            spans
                .iter_mut()
                .for_each(|span| authorization.unwrap_or_default().clone_into(&mut span.authorization));
            let mut all = collected.lock();
            all.extend(spans);
            collected.count.send_replace(all.len());
            Answer::of_json(200, &json!({}))
        }
        Err(error) => Answer::of_json(400, &json!({ "code": 3, "message": format!("{error:#}") })),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    resource_spans: Vec<OfResource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OfResource {
    resource: Resource,
    scope_spans: Vec<OfScope>,
}

#[derive(Deserialize)]
struct Resource {
    attributes: Vec<Attribute>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OfScope {
    #[serde(rename = "scope")]
    _scope: BTreeMap<String, String>,
    spans: Vec<Span>,
}

fn read(body: &[u8]) -> Result<Vec<Span>> {
    let document: Document = serde_json::from_slice(body)?;
    let mut all = Vec::new();
    for of_resource in document.resource_spans {
        let name = of_resource.resource.attributes.iter().find(|attribute| attribute.key == "service.name");
        let service = name.and_then(|name| name.value["stringValue"].as_str()).context("no service.name")?;
        for span in of_resource.scope_spans.into_iter().flat_map(|of_scope| of_scope.spans) {
            span.check().map_err(anyhow::Error::msg)?;
            all.push(Span { service: service.to_owned(), ..span });
        }
    }
    Ok(all)
}
