//! Events of API Gateway's HTTP APIs: payload format 2.0.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>

use std::collections::BTreeMap;

use axum::http::{HeaderMap, header::COOKIE, request::Parts};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::fields::{joined, parameters, text_or_base64};

/// Makes the event. The path includes the name of a named stage.
pub(super) fn event(
    request: &Parts,
    body: &Bytes,
    source_ip: &str,
    stage: Option<&str>,
    now: Timestamp,
) -> Value {
    let headers = joined(&request.headers);
    let (body, is_base64) = text_or_base64(&request.headers, body);
    let prefix = stage.map(|stage| format!("/{stage}")).unwrap_or_default();
    let path = format!("{prefix}{}", request.uri.path());
    let host = headers.get("host").cloned().unwrap_or_default();
    let query = request.uri.query().unwrap_or_default();
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "local",
            "domainName": host,
            "domainPrefix": "local",
            "http": {
                "method": request.method.as_str(),
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": source_ip,
                "userAgent": headers.get("user-agent").cloned().unwrap_or_default(),
            },
            "requestId": Uuid::new_v4().to_string(),
            "routeKey": "$default",
            "stage": stage.unwrap_or("$default"),
            "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(),
            "timeEpoch": now.as_millisecond(),
        },
        "headers": headers,
        "isBase64Encoded": is_base64,
    });
    // Absent rather than empty, as in AWS.
    if !body.is_empty() {
        event["body"] = json!(body);
    }
    if !query.is_empty() {
        event["queryStringParameters"] = json!(comma_separated(query));
    }
    let cookies = cookies(&request.headers);
    if !cookies.is_empty() {
        event["cookies"] = json!(cookies);
    }
    event
}

fn cookies(headers: &HeaderMap) -> Vec<String> {
    let lines = headers.get_all(COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split("; ")).map(str::to_owned).collect()
}

fn comma_separated(query: &str) -> BTreeMap<String, String> {
    parameters(query).into_iter().map(|(name, values)| (name, values.join(","))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::front_end::{FrontEnd, tests::event};

    #[test]
    fn repeated_headers_become_one() {
        let event = event(FrontEnd::HttpApi);
        assert_eq!(event["headers"]["stripe-signature"], "a,b");
        assert_eq!(event["rawQueryString"], "a=1&a=2&b=%20");
        assert_eq!(event["queryStringParameters"]["a"], "1,2");
        assert_eq!(event["requestContext"]["time"], "01/Jan/1970:00:00:00 +0000");
        assert_eq!(event["rawPath"], "/webhooks/stripe");
    }

    #[test]
    fn a_named_stage_stands_in_the_path() {
        assert_eq!(event(FrontEnd::HttpApiStage)["rawPath"], "/prod/webhooks/stripe");
    }
}
