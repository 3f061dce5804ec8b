//! An event that we have fetched from its provider's own API, under our own key and by TLS to the host that `webhooks.toml`
//! names: what a delivered event proves by its signature, this one proves by where it comes from. It goes the way of a verified
//! one, so that run id, business key and input are the same.

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

/// The commands that a fetched event asks for, as ingest would make them. It has no headers.
///
/// # Errors
/// The event lacks what a step needs.
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
