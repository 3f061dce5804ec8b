//! The events that bring a request, and the replies that take its answer back: of REST APIs (payload format 1.0), of HTTP
//! APIs and function URLs (2.0), and of Application Load Balancers
//! (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>,
//! <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html>).
//!
//! Envelope and reply have the types of `lambda_http`. Its conversion into a request is not used, because signatures need
//! what that does not keep: of a repeated header in a format 1.0 event it shows the last line only, it decodes and
//! reorders queries, and it panics at a body that is no base64.
//!
//! Three parts are taken out of the event before those types see it, and are read here:
//! - Headers: the types' map keeps one of two single values whose names differ in case only, panics at more lines than
//!   `http` can hold, and takes a malformed line for no event at all, which is a 5xx and not a 400.
//! - Parameters: `QueryMap` has them in the order of a hash, and walking it panics at a name with an empty list.
//! - The method is looked at first: the types take an empty one for GET, and a missing one for no event at all.

use std::net::{IpAddr, SocketAddr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use envelope::{Door, Envelope};
use lambda_http::http::{HeaderMap, Method};
use serde::{Deserialize, de::Error as _};
use serde_json::Value;
use tables::Tables;

use super::query::Query;

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

/// An event, apart.
#[derive(Debug, Deserialize)]
struct Parts {
    /// Format 2.0 has one, and format 1.0 if it is an HTTP API that speaks it.
    version: Option<String>,
    #[serde(flatten)]
    tables: Tables,
    #[serde(flatten)]
    rest: Value,
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
    /// Whom AWS has authenticated; none if nobody asked it to.
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
    fn try_from(Parts { version, tables, rest }: Parts) -> Result<Self, serde_json::Error> {
        let no_request = || serde_json::Error::missing_field("requestContext");
        let door = Door::of(version.as_deref(), &rest).ok_or_else(no_request)?;
        let shape = Shape { door, lists: tables.lists() };
        let Some(method) = door.method(&rest).as_str().and_then(|method| method.parse().ok()) else {
            return Ok(Self { shape, request: Err(Malformed::Method) });
        };
        let caller = door.caller(&rest["requestContext"]);
        let mut envelope = door.open(rest)?;
        envelope.stage = envelope.stage.filter(|_| version.is_some());
        Ok(Self { shape, request: request(door, method, tables, envelope, caller) })
    }
}

fn request(
    door: Door,
    method: Method,
    tables: Tables,
    envelope: Envelope,
    caller: Option<Caller>,
) -> Result<Request, Malformed> {
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
