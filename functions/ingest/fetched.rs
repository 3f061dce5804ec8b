//! Commands from an event that was fetched from its provider's own API. A delivered event is authenticated by its signature; this one by our
//! own key and by TLS to the host in `webhooks.toml`. It is processed like a verified one, so run id, business key and input are the same.

use http::{HeaderMap, Method};
use jiff::Timestamp;

use super::{
    event::Request,
    query::Query,
    request::{Lacking, Unverified},
    route::{self, Routed},
};
use crate::{
    command::Command,
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
    let events = Unverified { source, request: &request }.read_fetched(fetched).events(&config.templates)?;
    let trace = Traceparent::new();
    let mut all = Vec::new();
    for event in &events {
        for Routed { effect, command, due } in route::commands(event, config, now)?.1 {
            let (source, traceparent) = (Some(source.name.clone()), Some(trace));
            all.push(Routed { effect, command: Command { source, traceparent, ..command }, due });
        }
    }
    Ok(all)
}
