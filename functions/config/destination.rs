//! `[destinations."api.example.com"]`: the limits of a third party, and whether its address may be private. A destination is a host, with
//! its port if a call's URL names one. A destination without a table has the defaults.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
};

use serde_json::Value;

use super::{Sources, problems::Problems, rate::Rate, secret_name, section::Section, step::Step};

/// Default limit of calls in flight.
const DEFAULT_IN_FLIGHT: NonZeroU32 = NonZeroU32::new(64).unwrap();

/// The limits of a destination, and its network settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Maximum number of calls in flight.
    pub in_flight: NonZeroU32,
    /// The rate at which calls may begin. None: unlimited.
    pub rate: Option<Rate>,
    /// Whether its address may be loopback or in a private network.
    pub allow_private: bool,
    /// Name of the secret with our client certificate and its key.
    pub client_certificate: Option<String>,
}

/// Destinations by host.
pub type Destinations = BTreeMap<String, Destination>;

impl Default for Destination {
    fn default() -> Self {
        Self { in_flight: DEFAULT_IN_FLIGHT, rate: None, allow_private: false, client_certificate: None }
    }
}

impl Destination {
    fn read(mut section: Section, problems: &mut Problems) -> Self {
        let number = "a whole number from 1 on";
        let in_flight = section.optional("in_flight", number, problems);
        let rate = Rate::read(&mut section, problems);
        let allow_private = section.optional("allow_private", "true or false", problems).unwrap_or_default();
        let client_certificate: Option<String> =
            section.optional("client_certificate", "the name of a secret", problems);
        if let Some(name) = &client_certificate {
            secret_name::check(name, &section.path("client_certificate"), problems);
        }
        section.finish(problems);
        Self { in_flight: in_flight.unwrap_or(DEFAULT_IN_FLIGHT), rate, allow_private, client_certificate }
    }
}

/// Reads the tables.
pub(super) fn read(root: &mut Section, problems: &mut Problems) -> Destinations {
    let expected = "tables such as [destinations.\"api.example.com\"]";
    let tables = root.table("destinations", expected, problems).unwrap_or_default();
    let mut destinations = Destinations::new();
    for (host, value) in tables {
        let path = format!("destinations.{host:?}");
        match value {
            Value::Object(table) => {
                destinations.insert(host, Destination::read(Section::new(path, table), problems));
            }
            _ => problems.add(path, "not a table; write [destinations.\"HOST\"]"),
        }
    }
    destinations
}

/// A destination that no step calls is a mistake. So is a private address in a URL, unless its destination allows it: resolved names are
/// checked at each connection, but a literal address only here.
pub(super) fn check(
    destinations: &Destinations,
    sources: &Sources,
    steps: &[Option<Step>],
    problems: &mut Problems,
) {
    let reconciled = sources.values().flatten().filter_map(|source| source.reconcile.as_ref());
    let asked = reconciled.map(|reconcile| (reconcile.url.field(), &reconcile.url));
    let urls: Vec<_> = steps.iter().flatten().flat_map(Step::urls).chain(asked).collect();
    let called: BTreeSet<_> = urls.iter().map(|(_, url)| url.destination()).collect();
    for host in destinations.keys().filter(|host| !called.contains(*host)) {
        let called = Vec::from_iter(called.iter().map(String::as_str)).join(", ");
        problems
            .add(format!("destinations.{host:?}"), format!("no step calls this host; called are {called}"));
    }
    for (field, url) in urls {
        let host = url.destination();
        let destination = destinations.get(&host);
        if destination.is_some_and(|destination| destination.client_certificate.is_some()) && !url.is_https()
        {
            problems.add(field, "a client_certificate is shown by https:// only; write https://");
        }
        let allowed = destination.is_some_and(|destination| destination.allow_private);
        if let Some(what) = url.private_address().filter(|_| !allowed) {
            let remedy = format!("write its name, or allow_private = true in [destinations.{host:?}]");
            problems.add(field, format!("{what}, and a third party is on the internet; {remedy}"));
        }
    }
}
