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
    config::{Config, source::Source},
    effect_id::RunId,
    reconcile::Fetched,
};

/// What a fetched event starts: its run, and the commands of it. It has no headers.
///
/// # Errors
/// The event lacks what a step needs.
pub(crate) fn commands(
    source: &Source,
    fetched: &Fetched,
    config: &Config,
    now: Timestamp,
) -> Result<Vec<(RunId, Vec<Routed>)>, Lacking> {
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
    events.iter().map(|event| route::commands(event, config, now)).collect()
}
