//! Stripe: an account with one webhook endpoint. It delivers once here; the days for which the real one tries again are too long to
//! wait for.
//!
//! As in <https://docs.stripe.com/api/events/list>: events from the newest on, `limit` up to 100, the next page by `starting_after`
//! while `has_more`; `created[gte]` and `created[lte]` in seconds, `types[]`, and `delivery_success`, which is false also while a
//! delivery is pending. After 30 days an event is gone, and is no place to start after (400, `resource_missing`).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use axum::{
    Router,
    extract::{RawQuery, State},
    http::HeaderMap,
    routing::get,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::{Manners, Sender, refused};
use crate::{
    config::Source,
    http::Answer,
    server::{ANY_PORT, Server},
    webhook::Webhook,
};

/// A Stripe that listens.
#[derive(Debug)]
pub struct Stripe {
    shared: Arc<Shared>,
    server: Server,
}

#[derive(Debug)]
struct Shared {
    sender: Sender,
    events: Mutex<Vec<Event>>,
}

#[derive(Debug, Clone)]
struct Event {
    json: Value,
    at: Timestamp,
    is_delivered: bool,
}

impl Stripe {
    /// Starts it.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start() -> Result<Self> {
        let sender = Sender::new(SignedDuration::from_hours(30 * 24))?;
        let shared = Arc::new(Shared { sender, events: Mutex::default() });
        let router = Router::new().route("/v1/events", get(list)).with_state(shared.clone());
        Ok(Self { shared, server: Server::start(ANY_PORT, router).await.context("Stripe")? })
    }

    /// Its API.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Delivers there from now on.
    pub fn send_to(&self, url: &str, source: Source) {
        self.shared.sender.send_to(url, source);
    }

    /// Changes how it behaves.
    pub fn behave(&self, change: impl FnOnce(&mut Manners)) {
        self.shared.sender.change(change);
    }

    /// Something happens: it can be listed, and is delivered once. Says whether that succeeded.
    pub async fn send(&self, webhook: Webhook) -> bool {
        let at = self.shared.sender.now();
        let webhook = webhook.edited(|event| event["created"] = at.as_second().into());
        self.shared.lock().push(Event { json: webhook.json(), at, is_delivered: false });
        let id = webhook.json()["id"].clone();
        let is_well = matches!(self.shared.sender.deliver(webhook).await, Some(200..=299));
        for event in self.shared.lock().iter_mut().filter(|event| event.json["id"] == id) {
            event.is_delivered |= is_well;
        }
        is_well
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Vec<Event>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn list(State(shared): State<Arc<Shared>>, headers: HeaderMap, RawQuery(query): RawQuery) -> Answer {
    if let Some(refused) = refused(&headers) {
        return refused;
    }
    let query: Vec<(String, String)> =
        form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect();
    let all = |name: &str| {
        query.iter().filter(|(other, _)| other == name).map(|(_, value)| value.clone()).collect::<Vec<_>>()
    };
    let one = |name: &str| all(name).into_iter().next();
    let number = |name: &str| one(name).and_then(|value| value.parse::<i64>().ok());
    let manners = shared.sender.manners();
    let mut shown: Vec<_> =
        shared.lock().iter().filter(|each| shared.sender.shows(each.at)).cloned().collect();
    shown.reverse();
    if let Some(last) = one("starting_after") {
        let Some(place) = shown.iter().position(|event| event.json["id"] == last) else {
            let error = json!({ "error": { "type": "invalid_request_error", "code": "resource_missing" } });
            return Answer::of_json(400, &error);
        };
        shown.drain(..=place);
    }
    let types = all("types[]");
    let failed = one("delivery_success").as_deref() == Some("false");
    shown.retain(|event| {
        let created = event.at.as_second();
        number("created[gte]").is_none_or(|from| from <= created)
            && number("created[lte]").is_none_or(|until| created <= until)
            && (types.is_empty() || types.iter().any(|name| event.json["type"] == *name))
            && !(failed && (event.is_delivered || manners.lies))
    });
    let most = usize::try_from(number("limit").unwrap_or(10)).unwrap_or(10).min(manners.per_page);
    let has_more = shown.len() > most;
    let data: Vec<_> = shown.into_iter().take(most).map(|event| event.json).collect();
    Answer::of_json(
        200,
        &json!({ "object": "list", "url": "/v1/events", "has_more": has_more, "data": data }),
    )
}
