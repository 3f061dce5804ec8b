//! The boundaries: every request that a function makes through its five fault proxies. A boundary is named by the kind of its request, and by its
//! number among the requests of that kind. The order of concurrent requests may differ between runs; the n-th of a kind is the same in all of
//! them.

use std::fmt;

use local::{
    hook::Hook,
    proxy::{Fault, Seen},
};

/// A fault proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum On {
    Runtime,
    Table,
    Broker,
    ThirdParty,
    Lambda,
}

impl fmt::Display for On {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Runtime => "runtime",
            Self::Table => "table",
            Self::Broker => "broker",
            Self::ThirdParty => "third party",
            Self::Lambda => "lambda",
        })
    }
}

/// One request of a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Boundary {
    pub(crate) on: On,
    pub(crate) what: &'static str,
    /// From 1.
    pub(crate) nth: usize,
}

impl fmt::Display for Boundary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.on, self.what, self.nth)
    }
}

/// When the process dies at a boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Moment {
    /// The request has been sent and not processed.
    Before,
    /// It has been processed, and the response is never sent.
    Unanswered,
    /// The response has been sent.
    Answered,
}

impl Moment {
    pub(crate) const ALL: [Self; 3] = [Self::Before, Self::Unanswered, Self::Answered];

    pub(crate) fn fault(self, kill: Hook) -> Fault {
        match self {
            Self::Before => Fault::HookInstead(kill),
            Self::Unanswered => Fault::HookAfter(kill),
            Self::Answered => Fault::HookOnceAnswered(kill),
        }
    }
}

/// Requests whose number depends on timing: only the first of each kind is a boundary.
pub(super) const EVERY_SO_OFTEN: [&str; 7] = [
    "renew stream",
    "count in flight",
    "read agenda",
    "read lanes",
    "read pause",
    "leave run",
    "wake consumer",
];

/// The kind of a request, which is its purpose.
pub(super) fn what(on: On, seen: &Seen) -> Option<&'static str> {
    match on {
        On::Runtime => what_of_runtime(seen),
        On::Table => what_of_table(seen),
        On::Broker => what_of_broker(seen),
        On::ThirdParty => Some(if seen.method == "GET" { "look-up" } else { "call" }),
        On::Lambda => Some("wake consumer"),
    }
}

fn what_of_runtime(seen: &Seen) -> Option<&'static str> {
    match seen.path.rsplit_once('/')?.1 {
        "next" => Some("next"),
        "response" => Some("response"),
        _ => None,
    }
}

fn what_of_broker(seen: &Seen) -> Option<&'static str> {
    match seen.path.as_str() {
        "/v1/produce" => Some("produce"),
        "/v1/topics" if seen.method == "GET" => Some("list topics"),
        "/v1/topics" => Some("create topic"),
        "/v1/consume" => Some("consume"),
        "/v1/ack" => Some("ack"),
        "/v1/ack-cumulative" => Some("ack-cumulative"),
        "/v1/config" => Some("read limits"),
        "/metrics" => Some("count in flight"),
        _ => None,
    }
}

fn what_of_table(seen: &Seen) -> Option<&'static str> {
    let request = seen.json();
    match seen.operation.as_str() {
        "Query" => Some("read agenda"),
        "TransactWriteItems" => Some("commit and begin"),
        "GetItem" if request["Key"]["run_id"]["S"] == ":lanes" => Some("read lanes"),
        "UpdateItem" if request["Key"]["run_id"]["S"] == ":lanes" => Some("register lanes"),
        "GetItem" if request["Key"]["run_id"]["S"] == ":pause" => Some("read pause"),
        "GetItem" => Some("check out"),
        "DeleteItem" => Some("discard"),
        "PutItem" if request["Item"]["data"].is_object() => Some("check in"),
        "PutItem" if request["Item"]["status"]["S"] == "pending" => Some("enqueue"),
        "PutItem" if request["Item"]["run_id"]["S"] == ":runs" => Some("leave run"),
        "PutItem" => Some("claim"),
        "UpdateItem" if request["Key"]["run_id"]["S"] == ":stream" => Some(what_of_stream_lease(&request)),
        "UpdateItem" => Some(what_of_update(&request)),
        _ => None,
    }
}

fn what_of_stream_lease(request: &serde_json::Value) -> &'static str {
    let update = request["UpdateExpression"].as_str().unwrap_or_default();
    if update.contains("#owner") {
        "take stream"
    } else if update.contains("#wake_requested = ") {
        "ask for stream"
    } else if request["ExpressionAttributeValues"][":lease_until"]["N"] == "0" {
        "release stream"
    } else {
        "renew stream"
    }
}

fn what_of_update(request: &serde_json::Value) -> &'static str {
    let update = request["UpdateExpression"].as_str().unwrap_or_default();
    let values = &request["ExpressionAttributeValues"];
    match values[":status"]["S"].as_str() {
        Some("in_progress") if update.contains("#doubt = ") => "take over",
        Some("in_progress") => "claim in place",
        Some("done") => "commit",
        Some("waiting") => "defer",
        Some("parked") => "park",
        _ if update.contains("#command") => "watch or hand over",
        _ => "expedite",
    }
}
