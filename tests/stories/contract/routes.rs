//! Routes, methods, and what every answer has.

use serde_json::Value;

use super::broker::Broker;

cases! {
    both: [
        a_wrong_method_is_told_the_right_ones,
        an_unknown_route_is_not_found,
        a_path_that_is_not_clean_is_moved,
        every_answer_has_a_request_id,
        health_and_version,
        escapes_in_a_path_are_resolved,
    ],
    g0: [there_is_no_config_and_no_cumulative_ack],
}

async fn a_wrong_method_is_told_the_right_ones(broker: Broker) {
    for (method, path, allow) in [
        ("GET", "/v1/produce", "POST"),
        ("PUT", "/v1/topics", "GET, POST"),
        ("DELETE", "/v1/topics", "GET, POST"),
        ("OPTIONS", "/v1/topics", "GET, POST"),
        ("POST", "/v1/consume", "GET"),
        ("GET", "/v1/ack", "POST"),
        ("GET", "/v1/nack", "POST"),
        ("POST", "/v1/healthz", "GET"),
        ("POST", "/v1/version", "GET"),
    ] {
        let reply = broker.wire.call(method, path, "").await;
        reply.is(405, r#"{"error":"METHOD_NOT_ALLOWED","message":"method not allowed"}"#);
        assert_eq!(reply.header("allow"), Some(allow), "{method} {path}");
    }
    for path in ["/v1/healthz", "/v1/topics"] {
        broker.wire.call("HEAD", path, "").await.is(405, "");
    }
}

/// From these answers a client can tell the generation.
async fn there_is_no_config_and_no_cumulative_ack(broker: Broker) {
    broker.wire.get("/v1/config").await.is(404, "404 page not found");
    broker.wire.post("/v1/ack-cumulative", "{}").await.is(404, "404 page not found");
}

/// Plain text below `/v1/`, JSON elsewhere.
async fn an_unknown_route_is_not_found(broker: Broker) {
    for path in ["/v1/", "/v1/nope", "/v1/topics/"] {
        let reply = broker.wire.get(path).await;
        reply.is(404, "404 page not found");
        assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"), "{path}");
    }
    for path in ["/", "/healthz", "/v2/topics"] {
        broker.wire.get(path).await.is(404, r#"{"error":"NOT_FOUND","message":"use /v1/* endpoints"}"#);
    }
}

async fn a_path_that_is_not_clean_is_moved(broker: Broker) {
    for (path, location) in [("/v1", "/v1/"), ("/v1//topics", "/v1/topics")] {
        let reply = broker.wire.get(path).await;
        reply.is(301, &format!(r#"<a href="{location}">Moved Permanently</a>."#));
        assert_eq!(reply.header("location"), Some(location));
    }
}

/// Escapes are resolved segment by segment. An escaped slash does not separate segments, and `v1` must be written
/// without escapes.
async fn escapes_in_a_path_are_resolved(broker: Broker) {
    for path in ["/v1/he%61lthz", "/v1/%68ealthz", "/%6detrics"] {
        assert_eq!(broker.wire.get(path).await.status, 200, "{path}");
    }
    for path in ["/%76%31/healthz", "/v1/healthz%2f"] {
        broker.wire.get(path).await.is(404, "404 page not found");
    }
    let broken = broker.wire.get("/v1/%zz").await;
    broken.is(400, "400 Bad Request");
    assert_eq!(broken.header("x-request-id"), None);
}

/// A request id of the client is echoed. Without one, the broker makes one.
async fn every_answer_has_a_request_id(broker: Broker) {
    for path in ["/v1/healthz", "/v1/nope", "/"] {
        let reply = broker.wire.call_with("GET", path, "X-Request-Id: my-id-1\r\n", "").await;
        assert_eq!(reply.header("x-request-id"), Some("my-id-1"), "{path}");
        assert_eq!(broker.wire.get(path).await.header("x-request-id").map(str::len), Some(24), "{path}");
    }
}

async fn health_and_version(broker: Broker) {
    broker.wire.get("/v1/healthz").await.is(200, r#"{"status":"ok"}"#);
    let version = broker.wire.get("/v1/version").await;
    let version: Value = serde_json::from_str(&version.body).unwrap();
    assert!(version["version"].is_string() && version["commit"].is_string(), "{version}");
    assert_eq!(version["wal_enabled"], true);
}
