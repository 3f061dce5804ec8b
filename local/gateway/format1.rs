//! Events of API Gateway's REST APIs: payload format 1.0.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html#api-gateway-simple-proxy-for-lambda-input-format>
//!
//! Header names are as the client wrote them. Parameters are decoded, and there is no raw query.

use std::collections::BTreeMap;

use axum::http::request::Parts;
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::fields::{STAGE, last, lines, parameters, text_or_base64};

/// Makes the event.
pub(super) fn event(request: &Parts, body: &Bytes, source_ip: &str, now: Timestamp) -> Value {
    let headers: BTreeMap<String, Vec<String>> =
        lines(&request.headers).into_iter().map(|(name, values)| (as_written(&name), values)).collect();
    let (body, is_base64) = text_or_base64(&request.headers, body);
    let parameters = parameters(request.uri.query().unwrap_or_default());
    let path = request.uri.path();
    json!({
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": request.method.as_str(),
        "headers": last(&headers),
        "multiValueHeaders": headers,
        "queryStringParameters": if parameters.is_empty() { Value::Null } else { json!(last(&parameters)) },
        "multiValueQueryStringParameters": if parameters.is_empty() { Value::Null } else { json!(parameters) },
        "pathParameters": { "proxy": path.trim_start_matches('/') },
        "stageVariables": null,
        "requestContext": {
            "resourceId": "local",
            "resourcePath": "/{proxy+}",
            "httpMethod": request.method.as_str(),
            "path": format!("/{STAGE}{path}"),
            "accountId": "123456789012",
            "protocol": "HTTP/1.1",
            "stage": STAGE,
            "requestId": Uuid::new_v4().to_string(),
            "requestTimeEpoch": now.as_millisecond(),
            "identity": { "sourceIp": source_ip, "userAgent": null },
            "apiId": "local",
        },
        "body": if body.is_empty() { Value::Null } else { json!(body) },
        "isBase64Encoded": is_base64,
    })
}

/// A header name in the usual spelling, since it arrived here in lower case.
fn as_written(name: &str) -> String {
    let word =
        |word: &str| word.get(..1).unwrap_or_default().to_uppercase() + word.get(1..).unwrap_or_default();
    name.split('-').map(word).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::front_end::{FrontEnd, tests::event};

    #[test]
    fn repeated_headers_are_a_list_and_beside_it_the_last() {
        let event = event(FrontEnd::RestApi);
        assert_eq!(event["headers"]["Stripe-Signature"], "b");
        assert_eq!(event["multiValueHeaders"]["Stripe-Signature"], json!(["a", "b"]));
        assert_eq!(event["queryStringParameters"], json!({ "a": "2", "b": " " }));
        assert_eq!(event["multiValueQueryStringParameters"], json!({ "a": ["1", "2"], "b": [" "] }));
        assert_eq!((&event["path"], &event["version"]), (&json!("/webhooks/stripe"), &json!(null)));
    }
}
