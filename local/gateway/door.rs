//! AWS front ends that invoke a function over HTTP, and their event formats.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, header::COOKIE, request::Parts};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;
use url::form_urlencoded;

use super::{format1, format2, load_balancer};

/// A front end of a function.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Door {
    /// An HTTP API, at its `$default` stage: payload format 2.0.
    #[default]
    HttpApi,
    /// An HTTP API with a named stage, which it leaves in the path.
    HttpApiStage,
    /// A function URL: payload format 2.0 as well.
    FunctionUrl,
    /// A REST API: payload format 1.0.
    RestApi,
    /// An Application Load Balancer with default settings: it passes only the last of repeated headers or parameters.
    LoadBalancer,
    /// A load balancer whose target group has `lambda.multi_value_headers.enabled`.
    LoadBalancerLists,
}

/// The name of a stage that is not `$default`.
pub(super) const STAGE: &str = "prod";

impl Door {
    /// All front ends.
    pub const ALL: [Self; 6] = [
        Self::HttpApi,
        Self::HttpApiStage,
        Self::FunctionUrl,
        Self::RestApi,
        Self::LoadBalancer,
        Self::LoadBalancerLists,
    ];

    /// Converts a request into its event.
    #[must_use]
    pub fn event(self, request: &Parts, body: &Bytes, source_ip: &str, now: Timestamp) -> Value {
        match self {
            Self::HttpApi | Self::FunctionUrl => format2::event(request, body, source_ip, None, now),
            Self::HttpApiStage => format2::event(request, body, source_ip, Some(STAGE), now),
            Self::RestApi => format1::event(request, body, source_ip, now),
            Self::LoadBalancer => load_balancer::event(request, body, source_ip, false),
            Self::LoadBalancerLists => load_balancer::event(request, body, source_ip, true),
        }
    }
}

/// Each header's lines.
pub(super) fn lines(headers: &HeaderMap) -> BTreeMap<String, Vec<String>> {
    let mut all = BTreeMap::<String, Vec<String>>::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        all.entry(name.to_string()).or_default().push(value);
    }
    all
}

/// Joins repeated headers with commas, as in payload format 2.0. Cookies have their own field.
pub(super) fn joined(headers: &HeaderMap) -> BTreeMap<String, String> {
    let lines = lines(headers).into_iter().filter(|(name, _)| name != COOKIE.as_str());
    lines.map(|(name, values)| (name, values.join(","))).collect()
}

/// The last value of each.
pub(super) fn last(all: &BTreeMap<String, Vec<String>>) -> BTreeMap<String, String> {
    all.iter().filter_map(|(name, values)| Some((name.clone(), values.last()?.clone()))).collect()
}

/// The query's parameters, decoded.
pub(super) fn parameters(query: &str) -> BTreeMap<String, Vec<String>> {
    let mut all = BTreeMap::<String, Vec<String>>::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        all.entry(name.into_owned()).or_default().push(value.into_owned());
    }
    all
}

/// A body is text only if its type says so and it is valid UTF-8.
pub(super) fn text_or_base64(headers: &HeaderMap, body: &Bytes) -> (String, bool) {
    let content_type = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let texty = kind.starts_with("text/")
        || ["application/json", "application/javascript", "application/xml"].contains(&kind.as_str())
        || kind.ends_with("+json")
        || kind.ends_with("+xml");
    match std::str::from_utf8(body) {
        Ok(text) if texty || text.is_empty() => (text.to_owned(), false),
        _ => (BASE64_STANDARD.encode(body), true),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use axum::http::Request;
    use serde_json::json;

    use super::*;

    /// A request whose headers and parameters are repeated.
    pub(in crate::gateway) fn repeated() -> Parts {
        let request =
            Request::post("/webhooks/stripe?a=1&a=2&b=%20").header("content-type", "application/json");
        let request = request.header("Stripe-Signature", "a").header("Stripe-Signature", "b");
        request.body(()).unwrap().into_parts().0
    }

    /// The event for such a request.
    pub(in crate::gateway) fn event(door: Door) -> Value {
        door.event(&repeated(), &Bytes::from_static(b"{}"), "192.0.2.1", Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_body_that_is_not_text_is_base64() {
        let headers =
            |kind: &str| HeaderMap::from_iter([(axum::http::header::CONTENT_TYPE, kind.parse().unwrap())]);
        let json = headers("application/json; charset=utf-8");
        assert_eq!(text_or_base64(&json, &Bytes::from_static(b"{}")), ("{}".to_owned(), false));
        assert_eq!(text_or_base64(&json, &Bytes::from_static(&[0xff, 0])), ("/wA=".to_owned(), true));
        let form = headers("application/x-www-form-urlencoded");
        assert_eq!(text_or_base64(&form, &Bytes::from_static(b"a=b")), ("YT1i".to_owned(), true));
    }

    #[test]
    fn every_door_has_the_body_and_the_method() {
        for door in Door::ALL {
            let event = event(door);
            assert_eq!(
                (&event["body"], &event["isBase64Encoded"]),
                (&json!("{}"), &json!(false)),
                "{door:?}"
            );
            let method = event["httpMethod"].as_str().or(event["requestContext"]["http"]["method"].as_str());
            assert_eq!(method, Some("POST"), "{door:?}");
        }
    }
}
