//! Common code of providers that list deliveries: an event is delivered once, and again on request.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use axum::Router;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::{Manners, Sender};
use crate::{
    server::{ANY_PORT, Server},
    sign::Source,
    webhook::Webhook,
};

/// A running provider.
#[derive(Debug)]
pub struct Deliverer {
    log: Arc<Log>,
    server: Server,
}

/// Its deliveries.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) sender: Sender,
    deliveries: Mutex<Vec<Delivery>>,
    /// The header with the event's id, the same at each delivery.
    name: &'static str,
}

/// An attempt to deliver an event.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    pub(super) id: u64,
    /// The event's id.
    pub(super) name: String,
    /// When, by the provider's clock.
    pub(super) at: Timestamp,
    pub(super) is_again: bool,
    /// None if there was no response.
    pub(super) status: Option<u16>,
    pub(super) answer: String,
    /// The URL it was sent to.
    pub(super) url: String,
    pub(super) webhook: Webhook,
}

impl Deliverer {
    pub(super) async fn start(
        name: &'static str,
        keeps: SignedDuration,
        router: fn(Arc<Log>) -> Router,
    ) -> Result<Self> {
        let log = Arc::new(Log { sender: Sender::new(keeps)?, deliveries: Mutex::default(), name });
        let server = Server::start(ANY_PORT, router(log.clone())).await?;
        Ok(Self { log, server })
    }

    /// The API's base URL.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Delivers to this URL from now on.
    pub fn send_to(&self, url: &str, source: Source) {
        self.log.sender.send_to(url, source);
    }

    /// Changes how it behaves.
    pub fn behave(&self, change: impl FnOnce(&mut Manners)) {
        self.log.sender.change(change);
    }

    /// Creates an event and delivers it once. Returns whether that succeeded.
    pub async fn send(&self, webhook: Webhook) -> bool {
        let name = Uuid::new_v4().to_string();
        let webhook = webhook.with(self.log.name, &name);
        self.log.deliver(&name, webhook, false).await.is_well()
    }

    /// The number of redeliveries on request.
    #[must_use]
    pub fn redelivered(&self) -> usize {
        self.log.lock().iter().filter(|delivery| delivery.is_again).count()
    }
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, Vec<Delivery>> {
        self.deliveries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn deliver(&self, name: &str, webhook: Webhook, is_again: bool) -> Delivery {
        let (at, url) = (self.sender.now(), self.sender.url());
        let answer = self.sender.deliver(webhook.clone()).await;
        let (status, answer) = answer.map_or((None, String::new()), |(status, body)| (Some(status), body));
        let mut deliveries = self.lock();
        let id = 1_000_000 + deliveries.len() as u64;
        let delivery = Delivery { id, name: name.to_owned(), at, is_again, status, answer, url, webhook };
        deliveries.push(delivery.clone());
        delivery
    }

    /// Finds a delivery that is still kept.
    pub(super) fn find(&self, id: u64) -> Option<Delivery> {
        self.shown().into_iter().find(|delivery| delivery.id == id)
    }

    /// The deliveries listed now, the newest first.
    pub(super) fn shown(&self) -> Vec<Delivery> {
        let mut shown: Vec<_> =
            self.lock().iter().filter(|each| self.sender.shows(each.at)).cloned().collect();
        shown.sort_by_key(|delivery| std::cmp::Reverse(delivery.id));
        shown
    }
}

impl Delivery {
    pub(super) fn is_well(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}
