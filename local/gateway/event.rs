//! A request as API Gateway's HTTP APIs hand it to a function: payload format 2.0.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>

use std::collections::BTreeMap;

use axum::http::{HeaderMap, header::COOKIE, request::Parts};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

/// Makes the event.
#[must_use]
pub fn event(request: &Parts, body: &Bytes, source_ip: &str, now: Timestamp) -> Value {
    let headers = joined(&request.headers);
    let content_type = headers.get("content-type").map_or("", String::as_str);
    let (body, is_base64) = text_or_base64(content_type, body);
    let host = headers.get("host").cloned().unwrap_or_default();
    let query = request.uri.query().unwrap_or_default();
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": request.uri.path(),
        "rawQueryString": query,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "local",
            "domainName": host,
            "domainPrefix": "local",
            "http": {
                "method": request.method.as_str(),
                "path": request.uri.path(),
                "protocol": "HTTP/1.1",
                "sourceIp": source_ip,
                "userAgent": headers.get("user-agent").cloned().unwrap_or_default(),
            },
            "requestId": Uuid::new_v4().to_string(),
            "routeKey": "$default",
            "stage": "$default",
            "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(),
            "timeEpoch": now.as_millisecond(),
        },
        "headers": headers,
        "isBase64Encoded": is_base64,
    });
    // Absent rather than empty, as there.
    if !body.is_empty() {
        event["body"] = json!(body);
    }
    if !query.is_empty() {
        event["queryStringParameters"] = json!(query_parameters(query));
    }
    let cookies = cookies(&request.headers);
    if !cookies.is_empty() {
        event["cookies"] = json!(cookies);
    }
    event
}

/// Repeated headers become one, joined by commas (webhook trap 2). Cookies have a place of their own.
fn joined(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut joined = BTreeMap::<String, String>::new();
    for (name, value) in headers.iter().filter(|(name, _)| *name != COOKIE) {
        let value = String::from_utf8_lossy(value.as_bytes());
        let entry = joined.entry(name.to_string()).and_modify(|all| all.push(',')).or_default();
        entry.push_str(&value);
    }
    joined
}

fn cookies(headers: &HeaderMap) -> Vec<String> {
    let lines = headers.get_all(COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split("; ")).map(str::to_owned).collect()
}

fn query_parameters(query: &str) -> BTreeMap<String, String> {
    let mut joined = BTreeMap::<String, String>::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        joined.entry(name.into_owned()).and_modify(|all| all.push(',')).or_default().push_str(&value);
    }
    joined
}

/// A body is text only if its type says so, and if it is.
fn text_or_base64(content_type: &str, body: &Bytes) -> (String, bool) {
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
    use axum::http::Request;

    use super::*;

    fn parts(headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::post("/webhooks/stripe?a=1&a=2&b=%20");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn repeated_headers_become_one() {
        let parts = parts(&[
            ("Stripe-Signature", "a"),
            ("Stripe-Signature", "b"),
            ("content-type", "application/json"),
        ]);
        let event = event(&parts, &Bytes::from_static(b"{}"), "127.0.0.1", Timestamp::UNIX_EPOCH);
        assert_eq!(event["headers"]["stripe-signature"], "a,b");
        assert_eq!(event["rawQueryString"], "a=1&a=2&b=%20");
        assert_eq!(event["queryStringParameters"]["a"], "1,2");
        assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("{}"), &json!(false)));
        assert_eq!(event["requestContext"]["time"], "01/Jan/1970:00:00:00 +0000");
    }

    #[test]
    fn a_body_that_is_not_text_is_base64() {
        let json = parts(&[("content-type", "application/json; charset=utf-8")]);
        let form = parts(&[("content-type", "application/x-www-form-urlencoded")]);
        let binary = event(&json, &Bytes::from_static(&[0xff, 0]), "", Timestamp::UNIX_EPOCH);
        assert_eq!((&binary["body"], &binary["isBase64Encoded"]), (&json!("/wA="), &json!(true)));
        let form = event(&form, &Bytes::from_static(b"a=b"), "", Timestamp::UNIX_EPOCH);
        assert_eq!((&form["body"], &form["isBase64Encoded"]), (&json!("YT1i"), &json!(true)));
    }
}
