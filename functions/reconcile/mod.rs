//! Clients for providers' APIs, to find and recover missing events: an API lists what was sent, or what has happened.
//!
//! `api` makes one bounded request and classifies its failures · `github` and `gitlab` list deliveries;
//! `app_token` makes the token of a GitHub App · `stripe`, `paddle` and `square` list events · [`missing`]
//! finds those that are missing. When to scan, and from where, is decided by the consumer
//! (`consumer::reconcile`) or by a user (`cargo webhooks reconcile`).
//!
//! * **Deliveries** are not fetched: the provider is asked to redeliver, and ingest verifies the redelivery as usual.
//! * **Events** are fetched with our own key. They are as authentic as the provider's host and TLS.
//!
//! Recovering too much is harmless: a run's id is derived from the event, and the guard applies each effect once.

mod api;
mod app_token;
mod github;
mod gitlab;
pub mod missing;
mod paddle;
mod square;
mod stripe;

use jiff::{Timestamp, tz::TimeZone};
use serde_json::Value;

use self::api::Api;
pub use self::api::Failure;
use crate::config::{
    Config,
    reconcile::{Hook, Provider, Reconcile},
    source::Source,
};

/// The period of a scan.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// Start.
    pub from: Timestamp,
    /// End.
    pub until: Timestamp,
}

/// A page of what a provider has sent, the newest first.
#[derive(Debug)]
pub struct Page {
    /// The deliveries or events.
    pub items: Vec<Item>,
    /// The cursor of the next page, if there is one.
    pub next: Option<String>,
}

/// A delivery or an event.
#[derive(Debug)]
pub struct Item {
    /// When it was sent or happened, by the provider's clock.
    pub at: Timestamp,
    /// The provider's id of the event: the same for every delivery of it.
    pub event_id: String,
    /// The provider's type of the event.
    pub event_type: String,
    /// The delivery or the event itself.
    pub what: What,
}

/// What a provider lists.
#[derive(Debug)]
pub enum What {
    /// A successful delivery.
    Delivered(Delivery),
    /// A failed delivery, which can be redelivered.
    Undelivered(Delivery),
    /// The event itself.
    Event(Fetched),
}

/// An attempt to deliver an event.
#[derive(Debug)]
pub struct Delivery {
    /// The provider's id of the delivery.
    id: String,
    /// The delivery as listed.
    listed: Value,
}

impl Delivery {
    fn that(self, is_well: bool) -> What {
        if is_well { What::Delivered(self) } else { What::Undelivered(self) }
    }
}

/// An event fetched from its provider. Only a response of the provider's API makes one.
#[derive(Debug)]
pub struct Fetched(Value);

impl Fetched {
    /// The event, as it would have been delivered.
    #[must_use]
    pub fn event(&self) -> &Value {
        &self.0
    }
}

/// The client of one provider's API.
#[derive(Debug)]
pub struct Client<'a> {
    api: Api<'a>,
    provider: &'a Provider,
    /// The wanted event types, if they are few and have no `*`.
    types: Vec<&'a str>,
}

/// The maximum number of types that Stripe accepts.
const MOST_TYPES: usize = 20;

impl<'a> Client<'a> {
    /// The client for a source's `reconcile`. `key` is the value of the secret that it names.
    ///
    /// # Errors
    /// The key can't be used.
    pub fn new(
        source: &Source,
        reconcile: &'a Reconcile,
        config: &'a Config,
        client: reqwest::Client,
        key: &str,
        now: Timestamp,
    ) -> Result<Self, Failure> {
        let unusable = |why: &str| Failure::Refused(format!("the secret {} {why}", reconcile.key));
        let token = match &reconcile.provider {
            Provider::GitHub(Hook::App(id)) => app_token::of(id, key, now).map_err(unusable)?,
            _ => key.trim().to_owned(),
        };
        let api = Api::new(client, &reconcile.base, &token);
        let api = api.ok_or_else(|| unusable("is not a legal header value"))?;
        Ok(Self { api, provider: &reconcile.provider, types: types(source, config) })
    }

    /// A page of what was sent in this period, or a little more.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn page(&self, window: Window, page: Option<&str>) -> Result<Page, Failure> {
        match self.provider {
            Provider::GitHub(hook) => github::page(&self.api, hook, page).await,
            Provider::GitLab(hook) => gitlab::page(&self.api, hook, page).await,
            Provider::Stripe { events, account } => {
                let account = account.as_deref();
                stripe::page(&self.api, window, page, *events, account, &self.types).await
            }
            Provider::Paddle => paddle::page(&self.api, page).await,
            Provider::Square => square::page(&self.api, window, page, &self.types).await,
        }
    }

    /// What was sent with a delivery.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn sent(&self, delivery: &Delivery) -> Result<Sent, Failure> {
        match self.provider {
            Provider::GitHub(hook) => github::sent(&self.api, hook, delivery).await,
            Provider::GitLab(_) => Ok(gitlab::sent(delivery)),
            Provider::Stripe { .. } | Provider::Paddle | Provider::Square => Err(none()),
        }
    }

    /// Our response to a delivery, as far as the provider has kept it.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn answer(&self, delivery: &Delivery) -> Result<String, Failure> {
        match self.provider {
            Provider::GitHub(hook) => github::answer(&self.api, hook, delivery).await,
            Provider::GitLab(_) => Ok(gitlab::answer(delivery)),
            Provider::Stripe { .. } | Provider::Paddle | Provider::Square => Err(none()),
        }
    }

    /// Whether [`Client::answer`] needs no request of its own.
    pub(crate) fn lists_answers(&self) -> bool {
        matches!(self.provider, Provider::GitLab(_))
    }

    /// Requests a redelivery.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn redeliver(&self, delivery: &Delivery) -> Result<(), Failure> {
        match self.provider {
            Provider::GitHub(hook) => github::redeliver(&self.api, hook, delivery).await,
            Provider::GitLab(hook) => gitlab::redeliver(&self.api, hook, delivery).await,
            Provider::Stripe { .. } | Provider::Paddle | Provider::Square => Err(none()),
        }
    }
}

/// The failure for providers that list events and have no deliveries.
fn none() -> Failure {
    Failure::Gone { status: 404, why: String::new() }
}

/// What was sent with a delivery.
#[derive(Debug)]
pub struct Sent {
    /// The headers that identify the event, without the signature.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Value,
}

/// The event types that a source's steps want. None: too many, or a pattern with `*`.
fn types<'a>(source: &Source, config: &'a Config) -> Vec<&'a str> {
    let triggers = config.steps.iter().filter_map(|step| step.on.as_ref());
    let mut types: Vec<_> =
        triggers.filter(|on| on.source == source.name).map(|on| on.event_type.as_str()).collect();
    types.sort_unstable();
    types.dedup();
    let can_be_named = source.event_type.is_none()
        && types.len() <= MOST_TYPES
        && !types.iter().any(|name| name.contains('*'));
    if can_be_named { types } else { Vec::new() }
}

/// A timestamp in JSON. Without a zone, as in Square's API, it is UTC.
fn time(value: &Value) -> Option<Timestamp> {
    let text = value.as_str()?;
    text.parse().ok().or_else(|| TimeZone::UTC.to_timestamp(text.parse().ok()?).ok())
}

/// A string in JSON; empty if it is missing.
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_without_a_zone_is_in_utc() {
        let of = |text: &str| time(&text.into()).map(|at| at.to_string());
        for text in
            ["2022-04-26T10:08:40.454726", "2022-04-26T10:08:40.454726Z", "2022-04-26T12:08:40.454726+02:00"]
        {
            assert_eq!(of(text).as_deref(), Some("2022-04-26T10:08:40.454726Z"));
        }
        assert_eq!(of("yesterday"), None);
    }
}
