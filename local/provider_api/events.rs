//! What providers that list events have in common: something happens, it is delivered once, and for a time it can be listed. The days
//! for which the real ones try again are too long to wait for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use axum::Router;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{Manners, Sender};
use crate::{
    config::Source,
    server::{ANY_PORT, Server},
    webhook::Webhook,
};

/// A provider that listens.
#[derive(Debug)]
pub struct Listed {
    feed: Arc<Feed>,
    server: Server,
}

/// What has happened there.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) sender: Sender,
    events: Mutex<Vec<Event>>,
    form: Form,
}

/// How a provider writes an event.
#[derive(Debug)]
pub(super) struct Form {
    /// The field with the event's id.
    pub(super) id: &'static str,
    /// The field with its time.
    pub(super) at: &'static str,
    /// How the time stands there.
    pub(super) date: fn(Timestamp) -> Value,
    /// For how long it can be listed.
    pub(super) keeps: SignedDuration,
}

/// Something that has happened.
#[derive(Debug, Clone)]
pub(super) struct Event {
    /// As it was delivered.
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

    /// Its API.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Delivers there from now on.
    pub fn send_to(&self, url: &str, source: Source) {
        self.feed.sender.send_to(url, source);
    }

    /// Changes how it behaves.
    pub fn behave(&self, change: impl FnOnce(&mut Manners)) {
        self.feed.sender.change(change);
    }

    /// Something happens: it can be listed, and is delivered once. Says whether that succeeded.
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

    /// What its lists show now, as it happened.
    pub(super) fn shown(&self) -> Vec<Event> {
        self.lock().iter().filter(|event| self.sender.shows(event.at)).cloned().collect()
    }
}
