//! The events that bring a request, and the replies that take its answer back: of REST APIs (payload format 1.0), of HTTP
//! APIs and function URLs (2.0), and of Application Load Balancers
//! (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>,
//! <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html>).
//!
//! An event is read in one pass, and only what is needed of it. The types of `lambda_http` are used for replies, and not for
//! events, because signatures need what those do not keep: of a repeated header in a format 1.0 event its conversion into a
//! request shows the last line only, it decodes and reorders queries, and it panics at a body that is no base64. Its map of
//! headers keeps one of two single values whose names differ in case only, panics at more lines than `http` can hold, and takes
//! a malformed line for no event at all, which is a 5xx and not a 400.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use envelope::{Door, Envelope};
use lambda_http::http::{HeaderMap, Method};
use serde::{Deserialize, de::Error as _};
use serde_json::Value;
use tables::Tables;

use super::query::{Parameters, Query};

mod caller;
mod envelope;
mod shape;
mod tables;

pub use caller::Caller;
pub use shape::{Shape, Written};

/// A request as Lambda gets it.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Parts")]
pub struct Event {
    shape: Shape,
    request: Result<Request, Malformed>,
}

/// The parts of an AWS event that are read. Each event format fills in some of them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parts {
    /// Format 2.0 has one, and format 1.0 if it is an HTTP API that speaks it.
    version: Option<String>,
    headers: Option<BTreeMap<String, String>>,
    multi_value_headers: Option<BTreeMap<String, Vec<String>>>,
    query_string_parameters: Option<BTreeMap<String, String>>,
    multi_value_query_string_parameters: Option<Parameters>,
    http_method: Option<String>,
    path: Option<String>,
    raw_path: Option<String>,
    raw_query_string: Option<String>,
    body: Option<String>,
    is_base64_encoded: Option<bool>,
    #[serde(default)]
    request_context: Value,
}

/// A request, wherever it came from.
#[derive(Debug)]
pub struct Request {
    /// Its method.
    pub method: Method,
    /// Its path, without the stage's name.
    pub path: String,
    /// Each line of its headers, as far as the event tells.
    pub headers: HeaderMap,
    /// Its query.
    pub query: Query,
    /// Who sent it, as AWS saw it; none if that can't be read.
    pub source_ip: Option<IpAddr>,
    /// The caller that AWS has authenticated, if there is an authorizer.
    pub caller: Option<Caller>,
    /// The bytes of its body.
    pub body: Vec<u8>,
}

/// No request that HTTP allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The method is missing or none.
    #[error("the method is missing or malformed")]
    Method,
    /// A header's name or value holds what it may not.
    #[error("a header is malformed")]
    Header,
    /// The body is said to be base64 and is not.
    #[error("the body is not base64")]
    Body,
}

impl Event {
    /// How its reply is written.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// What was sent.
    ///
    /// # Errors
    /// See [`Malformed`].
    pub fn into_request(self) -> Result<Request, Malformed> {
        self.request
    }
}

impl TryFrom<Parts> for Event {
    type Error = serde_json::Error;

    /// # Errors
    /// It is none that brings a request, as AWS writes them.
    fn try_from(parts: Parts) -> Result<Self, serde_json::Error> {
        let no_request = || serde_json::Error::missing_field("requestContext");
        let door = Door::of(parts.version.as_deref(), &parts.request_context).ok_or_else(no_request)?;
        let (tables, envelope, caller) = door.open(parts);
        let shape = Shape { door, lists: tables.lists() };
        Ok(Self { shape, request: request(door, tables, envelope, caller) })
    }
}

fn request(
    door: Door,
    tables: Tables,
    envelope: Envelope,
    caller: Option<Caller>,
) -> Result<Request, Malformed> {
    let method =
        envelope.method.as_deref().and_then(|method| method.parse().ok()).ok_or(Malformed::Method)?;
    let headers = tables.header_lines()?;
    let source_ip = match door {
        Door::LoadBalancer => forwarded_for(&headers),
        Door::Format1 | Door::Format2 => envelope.source_ip.as_deref(),
    };
    let source_ip = source_ip.and_then(address);
    let path = own_path(&envelope).to_owned();
    let query = envelope.raw_query.map_or_else(|| tables.query(door), Query::AsSent);
    let body = envelope.body.unwrap_or_default();
    let body = match envelope.is_base64 {
        true => STANDARD.decode(body).map_err(|_| Malformed::Body)?,
        false => body.into_bytes(),
    };
    Ok(Request { method, path, headers, query, source_ip, caller, body })
}

/// HTTP APIs leave the stage's name in the path, but for the default stage, which has none there. REST APIs take it out
/// themselves.
fn own_path(envelope: &Envelope) -> &str {
    let path = envelope.path.as_deref().unwrap_or_default();
    let stage = envelope.stage.as_deref().filter(|stage| *stage != "$default");
    let rest = stage.and_then(|stage| path.strip_prefix('/')?.strip_prefix(stage));
    rest.filter(|rest| rest.starts_with('/')).unwrap_or(path)
}

/// A load balancer appends the address that it saw to whatever the client had written into `X-Forwarded-For`
/// (<https://docs.aws.amazon.com/elasticloadbalancing/latest/application/x-forwarded-headers.html>).
fn forwarded_for(headers: &HeaderMap) -> Option<&str> {
    let last = headers.get_all("x-forwarded-for").iter().next_back()?;
    last.to_str().ok()?.rsplit(',').next()
}

/// With the port, if a load balancer keeps ports.
fn address(told: &str) -> Option<IpAddr> {
    let with_port = || told.trim().parse().ok().map(|addr: SocketAddr| addr.ip());
    told.trim().parse().ok().or_else(with_port).map(|ip: IpAddr| ip.to_canonical())
}

#[cfg(test)]
mod tests;
