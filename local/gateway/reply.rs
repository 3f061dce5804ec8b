//! What a function answers, back as HTTP.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde_json::Value;

use crate::http::Answer;

/// Reads a reply of payload format 2.0. One without a status is a body for a 200, as API Gateway infers it.
#[must_use]
pub fn answer(reply: &Value) -> Answer {
    let Some(status) = reply["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok()) else {
        return Answer::of_json(200, reply);
    };
    let mut headers = HeaderMap::new();
    for (name, value) in reply["headers"].as_object().into_iter().flatten() {
        add(&mut headers, name, value);
    }
    for (name, values) in reply["multiValueHeaders"].as_object().into_iter().flatten() {
        headers.remove(name);
        values.as_array().into_iter().flatten().for_each(|value| add(&mut headers, name, value));
    }
    for cookie in reply["cookies"].as_array().into_iter().flatten() {
        add(&mut headers, "set-cookie", cookie);
    }
    let body = reply["body"].as_str().unwrap_or_default();
    match reply["isBase64Encoded"].as_bool() {
        Some(true) => match BASE64_STANDARD.decode(body) {
            Ok(body) => Answer { status, headers, body: body.into() },
            Err(_) => internal_error(),
        },
        _ => Answer { status, headers, body: Bytes::from(body.to_owned()) },
    }
}

/// What API Gateway answers when the function fails.
pub(super) fn internal_error() -> Answer {
    Answer::of_json(500, &serde_json::json!({ "message": "Internal Server Error" }))
}

fn add(headers: &mut HeaderMap, name: &str, value: &Value) {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(&text)) {
        headers.append(name, value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn headers_of_every_kind_come_back() {
        let answer = answer(&json!({
            "statusCode": 202, "headers": { "x-a": "1" }, "multiValueHeaders": { "x-b": ["1", "2"] },
            "cookies": ["c=1"], "body": "aGk=", "isBase64Encoded": true,
        }));
        assert_eq!((answer.status, &answer.body[..]), (202, &b"hi"[..]));
        assert_eq!(answer.header("x-a"), Some("1"));
        assert_eq!(answer.headers.get_all("x-b").iter().count(), 2);
        assert_eq!(answer.header("set-cookie"), Some("c=1"));
    }
}
