//! Events of Application Load Balancers.
//! <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html#receive-event-from-load-balancer>
//!
//! Parameters stay encoded. Headers and parameters are lists or single values, never both.

use std::collections::BTreeMap;

use axum::http::request::Parts;
use bytes::Bytes;
use serde_json::{Value, json};

use super::fields::{last, lines, text_or_base64};

/// Makes the event.
pub(super) fn event(request: &Parts, body: &Bytes, source_ip: &str, lists: bool) -> Value {
    let mut headers = lines(&request.headers);
    append_source(&mut headers, source_ip);
    let parameters = encoded_parameters(request.uri.query().unwrap_or_default());
    let (body, is_base64) = text_or_base64(&request.headers, body);
    let mut event = json!({
        "requestContext": {
            "elb": { "targetGroupArn": "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/local/1" },
        },
        "httpMethod": request.method.as_str(),
        "path": request.uri.path(),
        "body": body,
        "isBase64Encoded": is_base64,
    });
    if lists {
        event["multiValueHeaders"] = json!(headers);
        event["multiValueQueryStringParameters"] = json!(parameters);
    } else {
        event["headers"] = json!(last(&headers));
        event["queryStringParameters"] = json!(last(&parameters));
    }
    event
}

/// Appends the address to the client's own `X-Forwarded-For`.
fn append_source(headers: &mut BTreeMap<String, Vec<String>>, source_ip: &str) {
    let forwarded = headers.entry("x-forwarded-for".to_owned()).or_default();
    match forwarded.last_mut() {
        Some(line) => *line = format!("{line}, {source_ip}"),
        None => forwarded.push(source_ip.to_owned()),
    }
}

fn encoded_parameters(query: &str) -> BTreeMap<String, Vec<String>> {
    let mut all = BTreeMap::<String, Vec<String>>::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        all.entry(name.to_owned()).or_default().push(value.to_owned());
    }
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::front_end::{FrontEnd, tests::event};

    #[test]
    fn there_are_lists_or_single_values() {
        let single = event(FrontEnd::LoadBalancer);
        assert_eq!(single["headers"]["stripe-signature"], "b");
        assert_eq!(single["headers"]["x-forwarded-for"], "192.0.2.1");
        assert_eq!(single["queryStringParameters"], json!({ "a": "2", "b": "%20" }));
        let lists = event(FrontEnd::LoadBalancerLists);
        assert_eq!(lists["multiValueHeaders"]["stripe-signature"], json!(["a", "b"]));
        assert_eq!(lists["multiValueQueryStringParameters"], json!({ "a": ["1", "2"], "b": ["%20"] }));
        assert_eq!((&lists["headers"], &single["multiValueHeaders"]), (&json!(null), &json!(null)));
    }
}
