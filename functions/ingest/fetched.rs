//! Commands from an event that was fetched from its provider's own API. A delivered event is authenticated by its signature; this one by our
//! own key and by TLS to the host in `webhooks.toml`. It is processed like a verified one, so run id, business key and input are the same.

use http::{HeaderMap, Method};
use jiff::Timestamp;

use super::{
    event::Request,
    query::Query,
    request::{Lacking, UnverifiedWebhook},
    route::{self, Origin, Routed},
};
use crate::{
    config::{Config, source::Source},
    reconcile::Fetched,
    trace::Traceparent,
};

/// The commands for a fetched event, as ingest would create them. It has no headers.
///
/// # Errors
/// The event lacks a value that a step needs.
pub fn commands(
    source: &Source,
    fetched: &Fetched,
    config: &Config,
    now: Timestamp,
) -> Result<Vec<Routed>, Lacking> {
    let request = Request {
        method: Method::POST,
        path: String::new(),
        headers: HeaderMap::new(),
        query: Query::AsSent(String::new()),
        source_ip: None,
        caller: None,
        body: fetched.event().to_string().into_bytes(),
    };
    let events =
        UnverifiedWebhook { source, request: &request }.read_fetched(fetched).events(&config.templates)?;
    let origin = Origin { source: &source.name, trace: Traceparent::new(), now };
    let mut all = Vec::new();
    for event in &events {
        all.extend(route::commands(event, config, origin)?.1);
    }
    Ok(all)
}
