//! AWS events in, responses out: for REST APIs (payload format 1.0), HTTP APIs and function URLs (2.0), and Application Load Balancers
//! (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>,
//! <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html>).
//!
//! An event is parsed in one pass, and only the parts that are needed. The types of `lambda_http` are used
//! for responses but not for events. They lose what signatures need, or fail:
//! * from a format 1.0 event they keep only the last line of a repeated header, and they decode and reorder
//!   the query;
//! * they panic at a body that is not base64, and at more header lines than `http` can hold;
//! * of two single header values whose names differ only in case, they keep one;
//! * for a malformed header line they reject the whole event, which is a 5xx instead of a 400.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use context::Context;
use envelope::Envelope;
use format::EventFormat;
use lambda_http::http::{HeaderMap, Method};
use serde::{Deserialize, de::Error as _};
use tables::Tables;

use super::query::{Parameters, Query};

mod caller;
mod context;
mod envelope;
mod format;
mod response;
mod tables;

pub use caller::Caller;
pub use response::{LambdaResponse, ResponseFormat};

/// An event with a request, as Lambda receives it.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Parts")]
pub struct Event {
    response_format: ResponseFormat,
    request: Result<Request, Malformed>,
}

/// The parts of an AWS event that are read. Each event format fills in some of them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parts {
    /// Present in format 2.0, and in format 1.0 from HTTP APIs.
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
    #[serde(default, deserialize_with = "context::object")]
    request_context: Option<Context>,
}

/// A request, independent of the event format.
#[derive(Debug)]
pub struct Request {
    /// Its method.
    pub method: Method,
    /// Its path, without the stage's name.
    pub path: String,
    /// Its headers, with repeated lines as far as the event has them.
    pub headers: HeaderMap,
    /// Its query.
    pub query: Query,
    /// The sender's IP address, as seen by AWS; none if it can't be parsed.
    pub source_ip: Option<IpAddr>,
    /// The caller authenticated by AWS, if there is an authorizer.
    pub caller: Option<Caller>,
    /// The bytes of its body.
    pub body: Vec<u8>,
}

/// The event contains no valid HTTP request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The method is missing or malformed.
    #[error("the method is missing or malformed")]
    Method,
    /// A header's name or value has invalid characters.
    #[error("a header is malformed")]
    Header,
    /// The body is marked as base64 and is not.
    #[error("the body is not base64")]
    Body,
}

impl Event {
    /// The format of the response.
    #[must_use]
    pub fn response_format(&self) -> ResponseFormat {
        self.response_format
    }

    /// Extracts the request.
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
    /// Not an API Gateway, function URL or ALB event.
    fn try_from(mut parts: Parts) -> Result<Self, serde_json::Error> {
        let no_request = || serde_json::Error::missing_field("requestContext");
        let context = parts.request_context.take().ok_or_else(no_request)?;
        let format = EventFormat::of(parts.version.as_deref(), &context);
        let (tables, envelope, caller) = format.split(parts, context);
        let response_format = ResponseFormat { format, lists: tables.lists() };
        Ok(Self { response_format, request: request(format, tables, envelope, caller) })
    }
}

fn request(
    format: EventFormat,
    tables: Tables,
    envelope: Envelope,
    caller: Option<Caller>,
) -> Result<Request, Malformed> {
    let method =
        envelope.method.as_deref().and_then(|method| method.parse().ok()).ok_or(Malformed::Method)?;
    let headers = tables.header_lines()?;
    let source_ip = match format {
        EventFormat::LoadBalancer => forwarded_for(&headers),
        EventFormat::Format1 | EventFormat::Format2 => envelope.source_ip.as_deref(),
    };
    let source_ip = source_ip.and_then(address);
    let path = own_path(&envelope).to_owned();
    let query = envelope.raw_query.map_or_else(|| tables.query(format), Query::AsSent);
    let body = envelope.body.unwrap_or_default();
    let body = match envelope.is_base64 {
        true => STANDARD.decode(body).map_err(|_| Malformed::Body)?,
        false => body.into_bytes(),
    };
    Ok(Request { method, path, headers, query, source_ip, caller, body })
}

/// The path without the stage's name. HTTP APIs put the name into the path, except for the default stage.
/// REST APIs leave it out.
fn own_path(envelope: &Envelope) -> &str {
    let path = envelope.path.as_deref().unwrap_or_default();
    let stage = envelope.stage.as_deref().filter(|stage| *stage != "$default");
    let rest = stage.and_then(|stage| path.strip_prefix('/')?.strip_prefix(stage));
    rest.filter(|rest| rest.starts_with('/')).unwrap_or(path)
}

/// The client's address. A load balancer appends the address that it saw to the client's own `X-Forwarded-For`
/// (<https://docs.aws.amazon.com/elasticloadbalancing/latest/application/x-forwarded-headers.html>).
fn forwarded_for(headers: &HeaderMap) -> Option<&str> {
    let last = headers.get_all("x-forwarded-for").iter().next_back()?;
    last.to_str().ok()?.rsplit(',').next()
}

/// Parses an address, with a port if the load balancer preserves ports.
fn address(told: &str) -> Option<IpAddr> {
    let with_port = || told.trim().parse().ok().map(|addr: SocketAddr| addr.ip());
    told.trim().parse().ok().or_else(with_port).map(|ip: IpAddr| ip.to_canonical())
}

#[cfg(test)]
mod tests;
