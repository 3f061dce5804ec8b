//! Fields of events that several front ends write.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, header::COOKIE};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use url::form_urlencoded;

/// The name of a stage that is not `$default`.
pub(super) const STAGE: &str = "prod";

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
mod tests {
    use super::*;

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
}
