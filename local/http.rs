//! Shared HTTP code: creates clients, and has a response that can be stored and repeated.

use std::time::Duration;

use anyhow::{Context, Result};
use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde_json::Value;

/// DriftQ closes idle connections after 5 s; a request on a closed connection would fail without a real cause.
const IDLE_CONNECTION: Duration = Duration::from_secs(4);

/// A client that follows no redirects. It has no overall timeout, because consume streams have no end.
///
/// # Errors
/// The platform's certificates can't be read.
pub fn client() -> Result<reqwest::Client> {
    built(builder())
}

/// Like [`client`], for this URL: without the platform's certificates if it needs none. Reading them takes most of a stack's start time.
///
/// # Errors
/// As [`client`].
pub fn client_for(url: &str) -> Result<reqwest::Client> {
    built(if url.starts_with("http://") { builder().tls_certs_only([]) } else { builder() })
}

fn builder() -> reqwest::ClientBuilder {
    // Err: the same provider is installed already, by an earlier call.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(5))
        .pool_idle_timeout(IDLE_CONNECTION)
        .no_proxy()
}

fn built(builder: reqwest::ClientBuilder) -> Result<reqwest::Client> {
    builder.build().context("an HTTP client could not be made")
}

/// A response: received, or to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// A response with only a status.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self { status, headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// A JSON document.
    #[must_use]
    pub fn of_json(status: u16, body: &Value) -> Self {
        Self::status(status).with("content-type", "application/json").with_body(body.to_string())
    }

    /// An HTML page, as load balancers send for errors.
    #[must_use]
    pub fn html(status: u16) -> Self {
        let page =
            format!("<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>\n");
        Self::status(status).with("content-type", "text/html").with_body(page)
    }

    /// DriftQ's response when a partition is full (`docs/driftq-contract.md`, P9).
    #[must_use]
    pub fn partition_full() -> Self {
        let body = serde_json::json!({
            "error": "RESOURCE_EXHAUSTED", "message": "partition buffer is full", "reason": "partition_buffer_full",
        });
        Self::of_json(429, &body).with("retry-after", "1")
    }

    /// DynamoDB's response when it throttles.
    #[must_use]
    pub fn throttled() -> Self {
        let body = serde_json::json!({
            "__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
            "message": "The level of configured provisioned throughput for the table was exceeded.",
        });
        Self::of_json(400, &body).with("content-type", "application/x-amz-json-1.0")
    }

    /// Sets a header.
    ///
    /// # Panics
    /// The name or value is invalid in a header: an error in the test.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("a legal header value");
        self.headers.insert(HeaderName::from_static(name), value);
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn with_body(self, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// A header's text, if it is there and is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body as JSON; null if it is not JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Reads a response to its end.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn read(response: reqwest::Response) -> reqwest::Result<Self> {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Self { status, headers, body: response.bytes().await? })
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_GATEWAY);
        *response.headers_mut() = self.headers;
        drop_hop_by_hop(response.headers_mut());
        response
    }
}

/// Removes hop-by-hop headers.
pub(crate) fn drop_hop_by_hop(headers: &mut HeaderMap) {
    for name in
        ["connection", "keep-alive", "transfer-encoding", "content-length", "te", "trailer", "upgrade"]
    {
        headers.remove(name);
    }
}
