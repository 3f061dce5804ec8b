//! Events and responses of each format.

use lambda_http::http::{Response, StatusCode};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn event(event: Value) -> Event {
    serde_json::from_value(event).unwrap()
}

fn request(json: Value) -> Request {
    event(json).into_request().unwrap()
}

fn format_2(stage: &str, path: &str) -> Value {
    json!({
        "version": "2.0", "rawPath": path, "rawQueryString": "a=1&b=%20", "headers": { "x-a": "1,2" },
        "queryStringParameters": { "a": "1", "b": " " }, "body": "aGk=", "isBase64Encoded": true,
        "requestContext": { "stage": stage, "http": { "method": "POST", "sourceIp": "192.0.2.1", "path": path } },
    })
}

fn format_1() -> Value {
    json!({
        "path": "/webhooks/it", "httpMethod": "POST", "headers": { "X-A": "2" }, "multiValueHeaders": { "X-A": ["1", "2"] },
        "queryStringParameters": { "a": "1" }, "multiValueQueryStringParameters": { "a": ["1"] }, "body": "hi",
        "isBase64Encoded": false,
        "requestContext": { "httpMethod": "POST", "stage": "prod", "identity": { "sourceIp": "192.0.2.1" } },
    })
}

fn load_balancer() -> Value {
    json!({
        "path": "/webhooks/it", "httpMethod": "POST", "headers": { "x-a": "2", "x-forwarded-for": "10.0.0.1, 192.0.2.1" },
        "queryStringParameters": { "a": "%20" }, "body": "hi", "isBase64Encoded": false,
        "requestContext": { "elb": { "targetGroupArn": "arn" } },
    })
}

fn lines(request: &Request) -> Vec<&str> {
    request.headers.get_all("x-a").iter().map(|line| line.to_str().unwrap()).collect()
}

#[test]
fn a_request_is_the_same_in_every_event_format() {
    for (event, query, expected_lines) in [
        (format_2("$default", "/webhooks/it"), Query::AsSent("a=1&b=%20".into()), &["1,2"][..]),
        (format_1(), Query::AsSent("a=1".into()), &["1", "2"]),
        (load_balancer(), Query::AsSent("a=%20".into()), &["2"]),
    ] {
        let request = request(event);
        assert_eq!((request.method.as_str(), &*request.path), ("POST", "/webhooks/it"));
        assert_eq!((&*request.body, request.source_ip), (&b"hi"[..], "192.0.2.1".parse().ok()));
        assert_eq!((&request.query, lines(&request)), (&query, expected_lines.to_vec()));
    }
}

#[test]
fn lists_of_headers_are_not_overruled_by_the_last_of_each() {
    let mut event = format_1();
    event["multiValueHeaders"] = json!({ "X-A": ["1", "2"], "x-a": ["3"] });
    assert_eq!(lines(&request(event)), ["1", "2", "3"]);
}

#[test]
fn a_stage_is_taken_out_of_the_path_of_an_http_api_only() {
    let path = |stage, path| request(format_2(stage, path)).path;
    assert_eq!(path("prod", "/prod/webhooks/it"), "/webhooks/it");
    assert_eq!(path("prod", "/webhooks/it"), "/webhooks/it");
    assert_eq!(path("webhooks", "/webhooks/webhooks/it"), "/webhooks/it");
    assert_eq!(path("prod", "/production/it"), "/production/it");
    let mut rest = format_1();
    rest["requestContext"]["stage"] = json!("webhooks");
    assert_eq!(request(rest).path, "/webhooks/it");
}

#[test]
fn what_is_null_or_absent_is_empty() {
    let nulls = json!({
        "path": null, "httpMethod": "GET", "headers": null, "multiValueHeaders": null, "queryStringParameters": null,
        "multiValueQueryStringParameters": null, "body": null, "requestContext": { "httpMethod": "GET" },
    });
    let request = request(nulls);
    assert_eq!((&*request.path, request.query.as_sent(), request.source_ip), ("", Some(""), None));
    assert!(request.headers.is_empty() && request.body.is_empty());
}

#[test]
fn what_is_no_request_is_refused() {
    let refused = |edit: fn(&mut Value)| {
        let mut event = format_1();
        edit(&mut event);
        self::event(event).into_request().unwrap_err()
    };
    assert_eq!(refused(|event| event["isBase64Encoded"] = json!(true)), Malformed::Body);
    assert_eq!(refused(|event| event["httpMethod"] = json!("PO ST")), Malformed::Method);
    assert_eq!(refused(|event| event["httpMethod"] = json!(null)), Malformed::Method);
    assert_eq!(refused(|event| event["multiValueHeaders"]["x y"] = json!(["1"])), Malformed::Header);
    assert_eq!(refused(|event| event["multiValueHeaders"]["X-A"][0] = json!("1\n2")), Malformed::Header);
    assert!(serde_json::from_value::<Event>(json!({ "source": "aws.events" })).is_err(), "no request at all");
}

/// Requests that the types of `lambda_http` would lose, change, or panic at.
#[test]
fn tables_and_method_are_read_here() {
    let mut event = format_2("$default", "/");
    event["headers"] = json!({ "X-A": "1", "x-a": "2" });
    assert_eq!(lines(&request(event.clone())), ["1", "2"]);
    event["headers"] = (0..40_000).map(|n| (format!("x-{n}"), json!("1"))).collect();
    assert_eq!(self::event(event.clone()).into_request().unwrap_err(), Malformed::Header);
    event["headers"] = json!({ "x y": "1" });
    assert_eq!(self::event(event.clone()).into_request().unwrap_err(), Malformed::Header);
    event["requestContext"]["http"]["method"] = json!("");
    assert_eq!(self::event(event).into_request().unwrap_err(), Malformed::Method);
    let mut event = format_1();
    event["multiValueQueryStringParameters"] = json!({ "b": ["2", "1"], "c": [], "a": ["3"] });
    assert_eq!(request(event).query, Query::Rebuilt("a=3&b=2&b=1".into()));
}

#[test]
fn the_path_of_an_http_api_has_its_stage_in_format_1_too() {
    let mut event = format_1();
    (event["version"], event["path"]) = (json!("1.0"), json!("/prod/webhooks/it"));
    assert_eq!(request(event).path, "/webhooks/it");
}

#[test]
fn what_aws_does_not_send_is_no_event() {
    let mut event = format_1();
    event["requestContext"] = json!([]);
    assert!(serde_json::from_value::<Event>(event).is_err());
    let mut event = format_2("$default", "/");
    event["isBase64Encoded"] = json!("true");
    assert!(serde_json::from_value::<Event>(event).is_err());
}

#[test]
fn what_an_authorizer_says_is_no_concern_of_ours() {
    for odd in [json!({ "jwt": { "claims": { "roles": ["a", 1] }, "scopes": 7 } }), json!([1]), json!("x")] {
        for mut event in [format_1(), format_2("$default", "/webhooks/it")] {
            event["requestContext"]["authorizer"] = odd.clone();
            event["requestContext"]["authentication"] = odd.clone();
            assert_eq!(request(event).path, "/webhooks/it", "{odd}");
        }
    }
}

#[test]
fn the_address_is_what_aws_saw() {
    let source = |forwarded: &[&str]| {
        let mut event = load_balancer();
        event["headers"] = json!(null);
        event["multiValueHeaders"] = json!({ "x-forwarded-for": forwarded });
        request(event).source_ip.map(|ip| ip.to_string())
    };
    for (forwarded, expected) in [
        (&["192.0.2.1"][..], Some("192.0.2.1")),
        (&["10.0.0.1,10.0.0.2, 192.0.2.1"], Some("192.0.2.1")),
        (&["10.0.0.1", "192.0.2.1"], Some("192.0.2.1")),
        (&["192.0.2.1:4711"], Some("192.0.2.1")),
        (&["10.0.0.1, [2001:db8::1]:4711"], Some("2001:db8::1")),
        (&["10.0.0.1, ::ffff:192.0.2.1"], Some("192.0.2.1")),
        (&["10.0.0.1, unknown"], None),
        (&["10.0.0.1,"], None),
        (&[], None),
    ] {
        assert_eq!(source(forwarded).as_deref(), expected, "{forwarded:?}");
    }
}

#[test]
fn a_reply_is_written_as_the_door_reads_it() {
    let reply = |event: Value| {
        let response =
            Response::builder().status(StatusCode::ACCEPTED).header("x-a", "1").body("hi".to_owned());
        serde_json::to_value(self::event(event).response_format().reply(response.unwrap())).unwrap()
    };
    let mut expected = json!({
        "statusCode": 202, "headers": { "x-a": "1" }, "multiValueHeaders": {}, "body": "hi", "isBase64Encoded": false,
    });
    let mut format_2_expected = expected.clone();
    format_2_expected["cookies"] = json!([]);
    assert_eq!(reply(format_2("$default", "/")), format_2_expected);
    expected["statusDescription"] = json!("202 Accepted");
    assert_eq!(reply(load_balancer()), expected);
    let lists = json!({
        "statusCode": 202, "headers": {}, "multiValueHeaders": { "x-a": ["1"] }, "body": "hi", "isBase64Encoded": false,
    });
    assert_eq!(reply(format_1()), lists);
}

proptest! {
    #[test]
    fn no_event_makes_it_panic(
        mut event in prop::sample::select(vec![format_2("prod", "/prod/x"), format_1(), load_balancer()]),
        path in "\\PC{0,20}",
        name in "\\PC{0,10}",
        value in "(?s).{0,20}",
        base64: bool,
    ) {
        event["rawPath"] = json!(path);
        event["headers"] = json!({ name.clone(): value, "x-forwarded-for": value });
        event["queryStringParameters"] = json!({ name: value });
        event["body"] = json!(value);
        event["isBase64Encoded"] = json!(base64);
        let _ = self::event(event).into_request();
    }
}
