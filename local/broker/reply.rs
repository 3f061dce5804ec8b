//! Responses: their statuses and bodies, with the fields in the real broker's order.

use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::parity::go_json;
use super::profile::Profile;
use super::refusal::Refusal;

pub(super) fn refused(refusal: Refusal) -> Response {
    match refusal {
        Refusal::NotOwner | Refusal::NotAllHeld => {
            error(StatusCode::CONFLICT, "FAILED_PRECONDITION", &refusal.to_string())
        }
        Refusal::Overloaded(cap) => {
            let overload = Overload {
                error: "RESOURCE_EXHAUSTED",
                message: refusal.to_string(),
                reason: cap.reason(),
                retry_after_ms: 1000,
            };
            let mut response = json(StatusCode::TOO_MANY_REQUESTS, &overload);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            response
        }
        other => invalid(&other.to_string()),
    }
}

pub(super) fn invalid(message: &str) -> Response {
    error(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", message)
}

pub(super) fn unwritable() -> Response {
    error(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", "the WAL cannot be written")
}

pub(super) fn not_allowed(allow: &'static str) -> Response {
    let mut response = error(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "method not allowed");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    response
}

pub(super) fn error(status: StatusCode, error: &'static str, message: &str) -> Response {
    json(status, &Failure { error, message })
}

pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    (status, [(CONTENT_TYPE, "application/json; charset=utf-8")], go_json::encode(body)).into_response()
}

#[derive(Serialize)]
pub(super) struct Health {
    pub(super) status: &'static str,
}

#[derive(Serialize)]
pub(super) struct Version {
    pub(super) version: &'static str,
    pub(super) commit: &'static str,
    pub(super) wal_enabled: bool,
}

pub(super) const VERSION: Version = Version { version: "dev", commit: "unknown", wal_enabled: true };

/// The first two of these names were observed; the real broker's response has more.
#[derive(Serialize)]
pub(super) struct Config {
    pub(super) max_inflight: usize,
    pub(super) max_partition_bytes: usize,
    pub(super) max_partition_msgs: usize,
}

impl Config {
    pub(super) fn of(profile: &Profile) -> Self {
        Self {
            max_inflight: profile.max_in_flight,
            max_partition_bytes: profile.max_bytes,
            max_partition_msgs: profile.max_messages,
        }
    }
}

#[derive(Serialize)]
pub(super) struct Topics {
    pub(super) topics: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct Created {
    pub(super) status: &'static str,
    pub(super) name: String,
    pub(super) partitions: usize,
}

#[derive(Serialize)]
pub(super) struct Produced {
    pub(super) status: &'static str,
    pub(super) topic: String,
}

#[derive(Serialize)]
struct Failure<'a> {
    error: &'static str,
    message: &'a str,
}

#[derive(Serialize)]
struct Overload {
    error: &'static str,
    message: String,
    reason: &'static str,
    retry_after_ms: u32,
}
