//! Converts a function's reply into an HTTP response.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde_json::Value;

use super::FrontEnd;
use crate::http::Answer;

impl FrontEnd {
    /// The client's response for a function's reply.
    #[must_use]
    pub fn answer(self, reply: &Value) -> Answer {
        let status = reply["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok());
        match (self, status) {
            (_, Some(status)) => written(status, self.headers(reply), reply),
            // Format 2.0 interprets a reply without a status as the body of a 200.
            (Self::HttpApi | Self::HttpApiStage | Self::FunctionUrl, None) => Answer::of_json(200, reply),
            (Self::RestApi | Self::LoadBalancer | Self::LoadBalancerLists, None) => bad_gateway(),
        }
    }

    /// The headers of a reply: each front end reads its own tables only.
    fn headers(self, reply: &Value) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if self != Self::LoadBalancerLists {
            for (name, value) in reply["headers"].as_object().into_iter().flatten() {
                add(&mut headers, name, value);
            }
        }
        if let Self::RestApi | Self::LoadBalancerLists = self {
            for (name, values) in reply["multiValueHeaders"].as_object().into_iter().flatten() {
                headers.remove(name);
                values.as_array().into_iter().flatten().for_each(|value| add(&mut headers, name, value));
            }
        }
        for cookie in reply["cookies"].as_array().into_iter().flatten() {
            add(&mut headers, "set-cookie", cookie);
        }
        headers
    }
}

fn written(status: u16, headers: HeaderMap, reply: &Value) -> Answer {
    let body = reply["body"].as_str().unwrap_or_default();
    match reply["isBase64Encoded"].as_bool() {
        Some(true) => match BASE64_STANDARD.decode(body) {
            Ok(body) => Answer { status, headers, body: body.into() },
            Err(_) => internal_error(),
        },
        _ => Answer { status, headers, body: Bytes::from(body.to_owned()) },
    }
}

/// The response of a REST API or a load balancer to an invalid reply.
fn bad_gateway() -> Answer {
    Answer::of_json(502, &serde_json::json!({ "message": "Internal server error" }))
}

/// The response of API Gateway when the function fails.
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
    fn each_door_reads_its_own_tables_of_headers() {
        let reply = json!({
            "statusCode": 202, "headers": { "x-a": "1" }, "multiValueHeaders": { "x-b": ["1", "2"] },
            "cookies": ["c=1"], "body": "aGk=", "isBase64Encoded": true,
        });
        for front_end in FrontEnd::ALL {
            let answer = front_end.answer(&reply);
            assert_eq!((answer.status, &answer.body[..]), (202, &b"hi"[..]));
            assert_eq!(answer.header("set-cookie"), Some("c=1"));
            let counts = ["x-a", "x-b"].map(|name| answer.headers.get_all(name).iter().count());
            let expected = match front_end {
                FrontEnd::RestApi => [1, 2],
                FrontEnd::LoadBalancerLists => [0, 2],
                _ => [1, 0],
            };
            assert_eq!(counts, expected, "{front_end:?}");
        }
    }

    #[test]
    fn only_format_2_guesses_a_status() {
        let statuses = FrontEnd::ALL.map(|front_end| front_end.answer(&json!({ "ok": true })).status);
        assert_eq!(statuses, [200, 200, 200, 502, 502, 502]);
    }
}
