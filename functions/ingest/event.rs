//! The events that bring a request, and the replies that take its answer back: of REST APIs (payload format 1.0), of HTTP
//! APIs and function URLs (2.0), and of Application Load Balancers
//! (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>,
//! <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html>).
//!
//! Read here and not by `lambda_http`, because signatures need what it does not keep: of a repeated header in a format 1.0
//! event it shows the last line only (webhook trap 2), it decodes and reorders queries (trap 7), and it panics at a body
//! that is no base64.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, json};

use super::query::{Parameters, Query};

/// A request as Lambda gets it. Fields are there or not depending on where it comes from.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// HTTP APIs and function URLs have one.
    version: Option<String>,
    request_context: Context,
    http_method: Option<String>,
    path: Option<String>,
    raw_path: Option<String>,
    raw_query_string: Option<String>,
    headers: Option<BTreeMap<String, String>>,
    multi_value_headers: Option<BTreeMap<String, Vec<String>>>,
    query_string_parameters: Option<BTreeMap<String, String>>,
    multi_value_query_string_parameters: Option<Parameters>,
    body: Option<String>,
    is_base64_encoded: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Context {
    stage: Option<String>,
    /// Of format 2.0.
    http: Option<Http>,
    /// Of format 1.0.
    identity: Option<Caller>,
    /// Of a load balancer.
    elb: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Http {
    method: String,
    source_ip: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Caller {
    source_ip: Option<String>,
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

/// How the reply to an event is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    lists: bool,
    description: bool,
}

impl Event {
    /// A load balancer reads that table of headers which it was told to write, and wants the status in words.
    #[must_use]
    pub fn shape(&self) -> Shape {
        Shape { lists: self.multi_value_headers.is_some(), description: self.is_from_a_load_balancer() }
    }

    /// What was sent.
    ///
    /// # Errors
    /// See [`Malformed`].
    pub fn into_request(self) -> Result<Request, Malformed> {
        let headers = self.header_lines()?;
        let method =
            self.request_context.http.as_ref().map(|http| &http.method).or(self.http_method.as_ref());
        let method = method.and_then(|method| method.parse().ok()).ok_or(Malformed::Method)?;
        let body = self.body.as_deref().unwrap_or_default();
        let body = match self.is_base64_encoded {
            Some(true) => STANDARD.decode(body).map_err(|_| Malformed::Body)?,
            _ => body.as_bytes().to_vec(),
        };
        let (path, query, source_ip) = (self.own_path().to_owned(), self.query(), self.source_ip(&headers));
        Ok(Request { method, path, headers, query, source_ip, body })
    }

    fn is_from_a_load_balancer(&self) -> bool {
        self.request_context.elb.is_some()
    }

    /// Of the two tables, that in which repeated headers are lists. A name or value that HTTP forbids is not left out: the
    /// lines beside it must not look as if they were all.
    fn header_lines(&self) -> Result<HeaderMap, Malformed> {
        let lists = self.multi_value_headers.iter().flatten();
        let lists = lists.flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
        let single = self.headers.iter().flatten().filter(|_| self.multi_value_headers.is_none());
        let mut lines = HeaderMap::new();
        for (name, value) in lists.chain(single) {
            let name: HeaderName = name.parse().map_err(|_| Malformed::Header)?;
            let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| Malformed::Header)?;
            lines.try_append(name, value).map_err(|_| Malformed::Header)?;
        }
        Ok(lines)
    }

    /// HTTP APIs leave the stage's name in the path. REST APIs take it out themselves.
    fn own_path(&self) -> &str {
        let path = self.raw_path.as_deref().or(self.path.as_deref()).unwrap_or_default();
        let stage = self.request_context.stage.as_deref().filter(|_| self.version.is_some());
        let rest = stage.and_then(|stage| path.strip_prefix('/')?.strip_prefix(stage));
        rest.filter(|rest| rest.starts_with('/')).unwrap_or(path)
    }

    fn query(&self) -> Query {
        if let Some(raw) = &self.raw_query_string {
            return Query::AsSent(raw.clone());
        }
        let single = self.query_string_parameters.iter().flatten();
        let single = || single.map(|(name, value)| (name.clone(), vec![value.clone()])).collect();
        let parameters = self.multi_value_query_string_parameters.clone().unwrap_or_else(single);
        match self.is_from_a_load_balancer() {
            true => Query::of_encoded(&parameters),
            false => Query::of_decoded(&parameters),
        }
    }

    /// A load balancer appends the address that it saw to whatever the client had written into `X-Forwarded-For`
    /// (<https://docs.aws.amazon.com/elasticloadbalancing/latest/application/x-forwarded-headers.html>), with the port if
    /// it keeps ports.
    fn source_ip(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let context = &self.request_context;
        let told = match (&context.http, &context.identity, &context.elb) {
            (Some(http), ..) => http.source_ip.as_deref(),
            (_, Some(caller), _) => caller.source_ip.as_deref(),
            (.., Some(_)) => {
                let last = headers.get_all("x-forwarded-for").iter().next_back();
                last.and_then(|line| line.to_str().ok()?.rsplit(',').next())
            }
            _ => None,
        }?;
        let with_port = || told.trim().parse().ok().map(|addr: SocketAddr| addr.ip());
        told.trim().parse().ok().or_else(with_port).map(|ip: IpAddr| ip.to_canonical())
    }
}

impl Shape {
    /// The reply to the event.
    #[must_use]
    pub fn reply(self, response: Response<String>) -> Value {
        let (parts, body) = response.into_parts();
        let status = parts.status;
        let lines =
            parts.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default()));
        let mut reply = json!({ "statusCode": status.as_u16(), "body": body, "isBase64Encoded": false });
        if self.lists {
            reply["multiValueHeaders"] =
                lines.map(|(name, value)| (name.to_owned(), json!([value]))).collect();
        } else {
            reply["headers"] = lines.map(|(name, value)| (name.to_owned(), json!(value))).collect();
        }
        if self.description {
            let reason = status.canonical_reason().unwrap_or_default();
            reply["statusDescription"] = json!(format!("{} {reason}", status.as_u16()));
        }
        reply
    }
}

#[cfg(test)]
mod tests;
