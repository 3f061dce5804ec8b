//! Common code of providers that list events: an event is delivered once, and can be listed for a time. Real providers retry for days, which is too
//! long to simulate.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use axum::Router;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{Manners, Sender};
use crate::{
    server::{ANY_PORT, Server},
    sign::Source,
    webhook::Webhook,
};

/// A running provider.
#[derive(Debug)]
pub struct Listed {
    feed: Arc<Feed>,
    server: Server,
}

/// Its events.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) sender: Sender,
    events: Mutex<Vec<Event>>,
    form: Form,
}

/// A provider's format of an event.
#[derive(Debug)]
pub(super) struct Form {
    /// The field with the event's id.
    pub(super) id: &'static str,
    /// The field with its time.
    pub(super) at: &'static str,
    /// The format of the time.
    pub(super) date: fn(Timestamp) -> Value,
    /// How long it can be listed.
    pub(super) keeps: SignedDuration,
}

/// An event.
#[derive(Debug, Clone)]
pub(super) struct Event {
    /// The event as delivered.
    pub(super) json: Value,
    /// When, by the provider's clock.
    pub(super) at: Timestamp,
    pub(super) is_delivered: bool,
}

impl Listed {
    pub(super) async fn start(form: Form, router: fn(Arc<Feed>) -> Router) -> Result<Self> {
        let sender = Sender::new(form.keeps)?;
        let feed = Arc::new(Feed { sender, events: Mutex::default(), form });
        let server = Server::start(ANY_PORT, router(feed.clone())).await?;
        Ok(Self { feed, server })
    }

    /// The API's base URL.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Delivers to this URL from now on.
    pub fn send_to(&self, url: &str, source: Source) {
        self.feed.sender.send_to(url, source);
    }

    /// Changes how it behaves.
    pub fn behave(&self, change: impl FnOnce(&mut Manners)) {
        self.feed.sender.change(change);
    }

    /// Creates an event, which can then be listed, and delivers it once. Returns whether that succeeded.
    pub async fn send(&self, webhook: Webhook) -> bool {
        let Form { id, at: field, date, .. } = self.feed.form;
        let at = self.feed.sender.now();
        let webhook = webhook.edited(|event| event[field] = date(at));
        let json = webhook.json();
        let name = json[id].clone();
        self.feed.lock().push(Event { json, at, is_delivered: false });
        let is_well = matches!(self.feed.sender.deliver(webhook).await, Some((200..=299, _)));
        for event in self.feed.lock().iter_mut().filter(|event| event.json[id] == name) {
            event.is_delivered |= is_well;
        }
        is_well
    }
}

impl Feed {
    fn lock(&self) -> MutexGuard<'_, Vec<Event>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The events listed now, in order.
    pub(super) fn shown(&self) -> Vec<Event> {
        self.lock().iter().filter(|event| self.sender.shows(event.at)).cloned().collect()
    }
}
