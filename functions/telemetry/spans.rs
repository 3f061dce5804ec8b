//! Spans for a trace collector: one per webhook, one per command, and below that one per request to a third party.
//!
//! They are sent as OTLP by HTTP and JSON (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>) to the [`Collector`] that the
//! environment names. Without one, nothing is recorded and nothing is sent.
//!
//! OpenTelemetry's SDK is not used: it sends from its own thread on its own schedule, and brings a dozen crates. A Lambda function is
//! frozen between invocations, so spans must be sent before it responds, within a time limit. The trace context was implemented already
//! ([`Traceparent`]), and the request is one JSON document (`otlp`).
//!
//! Nothing depends on a collector: after a timeout it is not called for a while, and spans that it did not accept are dropped and counted.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{self, InvalidHeaderName, InvalidHeaderValue},
};
use percent_encoding::percent_decode_str;
use reqwest::Client;
use serde_json::Value;
use tokio::{
    sync::Notify,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{line::Line, metrics::SPANS_DROPPED, namespace, otlp, span::Span};
use crate::{
    config::{ConfigError, collector::Collector},
    secrets::{OTLP_HEADERS, Secret, Secrets},
    trace::Traceparent,
};

/// The longest time that a webhook's response waits for a collector.
pub const INGEST_PATIENCE: Duration = Duration::from_millis(200);
/// How long a consumer run waits for a collector at its end, and the time limit of an export during the run.
pub const CONSUMER_PATIENCE: Duration = Duration::from_secs(1);
/// How long a failed collector is not called: otherwise each webhook would wait for it.
const PAUSE: Duration = Duration::from_secs(30);
/// During a run, spans are sent this often, or as soon as there are [`ENOUGH`].
const EVERY: Duration = Duration::from_secs(5);
const ENOUGH: usize = 512;
/// The maximum number of spans kept.
const MOST: usize = 2048;

/// The destination of spans: a collector, or none.
#[derive(Debug, Clone, Default)]
pub struct Spans(Option<Arc<Exporter>>);

#[derive(Debug)]
struct Exporter {
    http: Client,
    collector: Collector,
    headers: HeaderMap,
    service: String,
    waiting: Mutex<Vec<Value>>,
    is_enough: Notify,
    dropped: AtomicU64,
    closed_until: Mutex<Option<SystemTime>>,
}

impl Spans {
    /// Sends to the collector from the environment, with this client, which must not follow redirects.
    ///
    /// # Errors
    /// `OTEL_EXPORTER_OTLP_HEADERS` is malformed, or would be sent unencrypted to another machine.
    pub fn to(
        collector: Option<Collector>,
        function: &str,
        http: &Client,
        secrets: &Secrets,
    ) -> Result<Self, ConfigError> {
        let Some(collector) = collector else { return Ok(Self::default()) };
        let headers = secrets.get(OTLP_HEADERS).map(Secret::expose);
        let unusable = |why: String| ConfigError::one("secrets", OTLP_HEADERS, why);
        if headers.is_some() && collector.is_exposed() {
            let host = collector.url.host_str().unwrap_or_default();
            return Err(unusable(format!(
                "would be sent unencrypted to {host}; write https:// in the endpoint, or take this secret out"
            )));
        }
        let headers =
            parse_headers(headers.unwrap_or_default()).map_err(|error| unusable(error.to_string()))?;
        let service = collector.service.clone().unwrap_or_else(|| format!("{}-{function}", namespace()));
        Ok(Self(Some(Arc::new(Exporter {
            http: http.clone(),
            collector,
            headers,
            service,
            waiting: Mutex::default(),
            is_enough: Notify::new(),
            dropped: AtomicU64::new(0),
            closed_until: Mutex::default(),
        }))))
    }

    /// The span of a request, and its parent: the sender's span, if the request names one. X-Ray's segments are not used.
    #[must_use]
    pub fn of_request(&self, headers: &HeaderMap, xray: Option<&str>) -> (Traceparent, Option<Traceparent>) {
        if self.0.is_none() {
            return (Traceparent::of_request(headers, xray), None);
        }
        match Traceparent::of_headers(headers) {
            Some(parent) => (parent.child(), Some(parent)),
            None => (Traceparent::of_request(headers, xray).child().sampled(), None),
        }
    }

    /// The span of a command that belongs to this trace.
    #[must_use]
    pub fn of_command(&self, trace: Option<Traceparent>) -> Traceparent {
        match (&self.0, trace) {
            (None, trace) => trace.unwrap_or_else(Traceparent::new),
            (Some(_), Some(trace)) => trace.child(),
            (Some(_), None) => Traceparent::new().sampled(),
        }
    }

    /// Records the end of a span. The span is built only if it is recorded.
    pub fn end<'a>(&self, trace: &Traceparent, span: impl FnOnce() -> Span<'a>) {
        let Some(exporter) = self.0.as_deref().filter(|_| trace.is_sampled()) else { return };
        let mut waiting = lock(&exporter.waiting);
        if waiting.len() >= MOST {
            exporter.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.push(otlp::span(&span(), SystemTime::now()));
        if waiting.len() >= ENOUGH {
            exporter.is_enough.notify_one();
        }
    }

    /// Sends the ended spans, within this time.
    pub async fn export(&self, patience: Duration) {
        if let Some(exporter) = &self.0 {
            exporter.export(patience).await;
        }
    }

    /// Starts to send spans in the background, until [`Sending::end`].
    pub fn begin(&self) -> Sending {
        Sending(self.0.as_ref().map(|exporter| {
            let (exporter, is_over) = (Arc::clone(exporter), CancellationToken::new());
            let until = is_over.clone();
            (is_over, tokio::spawn(async move { exporter.export_until(&until).await }))
        }))
    }
}

/// Spans are being sent in the background.
#[derive(Debug)]
#[must_use]
pub struct Sending(Option<(CancellationToken, JoinHandle<()>)>);

impl Sending {
    /// Waits within this time for a request in flight. One that takes longer ends, and is counted, in the next run.
    pub async fn end(self, patience: Duration) {
        let Some((is_over, sending)) = self.0 else { return };
        is_over.cancel();
        // Err: it takes longer, or it panicked, which has been logged.
        drop(timeout(patience, sending).await);
    }
}

impl Exporter {
    async fn export_until(&self, is_over: &CancellationToken) {
        loop {
            tokio::select! {
                () = is_over.cancelled() => return,
                () = self.is_enough.notified() => {}
                () = sleep(EVERY) => {}
            }
            self.export(CONSUMER_PATIENCE).await;
        }
    }

    async fn export(&self, patience: Duration) {
        let spans = std::mem::take(&mut *lock(&self.waiting));
        let count = spans.len() as u64;
        if !spans.is_empty() {
            let is_sent = !self.is_closed() && self.send(spans, patience).await;
            self.dropped.fetch_add(if is_sent { 0 } else { count }, Ordering::Relaxed);
        }
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            Line::default().count(&SPANS_DROPPED, dropped).print();
        }
    }

    async fn send(&self, spans: Vec<Value>, patience: Duration) -> bool {
        let error = match timeout(patience, self.post(spans)).await {
            Ok(Ok(status)) if status.is_success() => return true,
            Ok(Ok(status)) => format!("answered {}", status.as_u16()),
            Ok(Err(error)) => error.without_url().to_string(),
            Err(_) => format!("no answer within {} ms", patience.as_millis()),
        };
        tracing::warn!(
            error,
            pause_s = PAUSE.as_secs(),
            "spans were dropped; the collector is left alone for a while"
        );
        *lock(&self.closed_until) = Some(SystemTime::now() + PAUSE);
        false
    }

    async fn post(&self, spans: Vec<Value>) -> reqwest::Result<StatusCode> {
        let body = otlp::document(&self.service, spans).to_string();
        let request = self.http.post(self.collector.url.clone()).headers(self.headers.clone());
        let request = request.header(header::CONTENT_TYPE, "application/json").body(body);
        Ok(request.send().await?.status())
    }

    fn is_closed(&self) -> bool {
        // A clock that was set back must not prolong the pause.
        let left = lock(&self.closed_until).and_then(|until| until.duration_since(SystemTime::now()).ok());
        left.is_some_and(|left| left <= PAUSE)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A malformed header. Names are not secret, values are.
#[derive(Debug, thiserror::Error)]
enum BadHeader {
    #[error("entry {0} is not name=value")]
    NoPair(usize),
    #[error("entry {0} has no legal name of a header")]
    Name(usize, #[source] InvalidHeaderName),
    #[error("entry {0} has no legal value of a header")]
    Value(usize, #[source] InvalidHeaderValue),
}

/// Parses comma-separated `name=value` pairs; values are percent-encoded.
fn parse_headers(text: &str) -> Result<HeaderMap, BadHeader> {
    let entries = text.split(',').map(str::trim).enumerate().filter(|(_, entry)| !entry.is_empty());
    let header = |(at, entry): (usize, &str)| {
        let at = at + 1;
        let (name, value) = entry.split_once('=').ok_or(BadHeader::NoPair(at))?;
        let name =
            HeaderName::from_bytes(name.trim().as_bytes()).map_err(|error| BadHeader::Name(at, error))?;
        let value = percent_decode_str(value.trim()).collect::<Vec<u8>>();
        let mut value = HeaderValue::from_bytes(&value).map_err(|error| BadHeader::Value(at, error))?;
        value.set_sensitive(true);
        Ok((name, value))
    };
    entries.map(header).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{super::span::Kind, *};

    #[test]
    fn headers_are_pairs_and_their_values_are_kept_secret() {
        let headers = parse_headers("Authorization=Basic%20czNjcmV0%3D, x-scope=a=b,").unwrap();
        assert_eq!(
            (&headers["authorization"], &headers["x-scope"]),
            (&"Basic czNjcmV0=".parse().unwrap(), &"a=b".parse().unwrap())
        );
        assert!(!format!("{headers:?}").contains("czNjcmV0"));
        for wrong in ["s3cret", "a b=s3cret", "a=1,b=%0As3cret", "=s3cret"] {
            let error = parse_headers(wrong).unwrap_err().to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    fn collector(url: &str) -> Option<Collector> {
        Some(Collector { url: url.parse().unwrap(), service: None })
    }

    #[test]
    fn credentials_go_by_https_only() {
        let secrets = Secrets::of(&[(OTLP_HEADERS, "authorization=s3cret")]);
        let to =
            |url| Spans::to(collector(url), "ingest", &crate::clients::http(&|_| None).unwrap(), &secrets);
        let error = to("http://otlp.example/v1/traces").unwrap_err().to_string();
        assert!(error.contains("unencrypted to otlp.example") && !error.contains("s3cret"), "{error}");
        assert!(to("https://otlp.example/v1/traces").is_ok());
        assert!(
            Spans::to(
                collector("http://otlp.example"),
                "ingest",
                &crate::clients::http(&|_| None).unwrap(),
                &Secrets::default()
            )
            .is_ok()
        );
    }

    #[test]
    fn more_spans_than_are_kept_are_dropped_and_counted() {
        let url = collector("http://127.0.0.1:9/v1/traces");
        let spans =
            Spans::to(url, "ingest", &crate::clients::http(&|_| None).unwrap(), &Secrets::default()).unwrap();
        let trace = spans.of_command(None);
        let span = || Span {
            trace,
            parent: None,
            kind: Kind::Consumer,
            name: "s".to_owned(),
            began: Instant::now(),
            attributes: Vec::new(),
            error: None,
        };
        (0..MOST + 3).for_each(|_| spans.end(&trace, span));
        let exporter = spans.0.as_ref().unwrap();
        assert_eq!((lock(&exporter.waiting).len(), exporter.dropped.load(Ordering::Relaxed)), (MOST, 3));
    }

    #[test]
    fn a_trace_that_its_sender_does_not_record_is_not_recorded_and_every_other_is() {
        let of = |flags: &str| {
            let value = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}");
            HeaderMap::from_iter([(crate::trace::TRACEPARENT, value.parse().unwrap())])
        };
        let on = Spans::to(
            collector("http://127.0.0.1:9"),
            "ingest",
            &crate::clients::http(&|_| None).unwrap(),
            &Secrets::default(),
        )
        .unwrap();
        let xray = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0";
        let (span, parent) = on.of_request(&of("01"), Some(xray));
        assert!(span.is_sampled() && parent.is_some_and(|parent| parent.span_id() == "00f067aa0ba902b7"));
        assert!(!on.of_request(&of("00"), None).0.is_sampled());
        let (span, parent) = on.of_request(&HeaderMap::new(), Some(xray));
        assert!(span.is_sampled() && parent.is_none(), "X-Ray's decision is about X-Ray");
        assert_eq!(span.trace_id(), "5759e988bd862e3fe1be46a994272793");
        assert!(on.of_command(None).is_sampled());
        let off = Spans::default();
        assert_eq!(off.of_request(&of("01"), None).0.span_id(), "00f067aa0ba902b7", "as it came");
        assert!(!off.of_command(None).is_sampled());
    }
}
