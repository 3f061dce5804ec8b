//! GitHub: a repository's webhook. It delivers once, and again when asked.
//!
//! As in <https://docs.github.com/en/rest/repos/webhooks>: deliveries from the newest on, `per_page` up to 100, the next page by the
//! `cursor` of the `Link` header; a redelivery keeps the `guid`, is asked for by `POST …/attempts` and answered 202 before it is made. After
//! three days a delivery is gone (404). Too many requests are answered 403, with what is left of the limit and when it begins anew
//! (<https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit>).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use axum::{
    Router,
    extract::{Path, Query, State},
    http::HeaderMap,
    routing::{get, post},
};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Manners, Sender, missing, refused};
use crate::{
    config::Source,
    http::Answer,
    server::{ANY_PORT, Server},
    webhook::Webhook,
};

/// The hook's path in its API.
pub const HOOK: &str = "/repos/octo/hello/hooks/1";

/// A GitHub that listens.
#[derive(Debug)]
pub struct GitHub {
    shared: Arc<Shared>,
    server: Server,
}

#[derive(Debug)]
struct Shared {
    sender: Sender,
    deliveries: Mutex<Vec<Delivery>>,
}

#[derive(Debug, Clone)]
struct Delivery {
    id: u64,
    guid: String,
    at: Timestamp,
    is_again: bool,
    status: Option<u16>,
    webhook: Webhook,
}

impl GitHub {
    /// Starts it.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start() -> Result<Self> {
        let sender = Sender::new(SignedDuration::from_hours(72))?;
        let shared = Arc::new(Shared { sender, deliveries: Mutex::default() });
        let router = Router::new()
            .route(&format!("{HOOK}/deliveries"), get(list))
            .route(&format!("{HOOK}/deliveries/{{id}}"), get(show))
            .route(&format!("{HOOK}/deliveries/{{id}}/attempts"), post(again))
            .with_state(shared.clone());
        Ok(Self { shared, server: Server::start(ANY_PORT, router).await.context("GitHub")? })
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

    /// Something happens: it is delivered, once. Says whether that succeeded.
    pub async fn send(&self, webhook: Webhook) -> bool {
        let guid = Uuid::new_v4().to_string();
        self.shared.deliver(&guid, webhook.with("x-github-delivery", &guid), false).await
    }

    /// How many deliveries were made on request.
    #[must_use]
    pub fn redelivered(&self) -> usize {
        self.shared.lock().iter().filter(|delivery| delivery.is_again).count()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Vec<Delivery>> {
        self.deliveries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a request without the right key, or one too many, is answered.
    fn refused(&self, headers: &HeaderMap) -> Option<Answer> {
        if let Some(refused) = refused(headers) {
            return Some(refused);
        }
        let reset = Timestamp::now().as_second() + self.sender.limited()?;
        let limited = Answer::of_json(403, &json!({ "message": "API rate limit exceeded" }));
        Some(limited.with("x-ratelimit-remaining", "0").with("x-ratelimit-reset", &reset.to_string()))
    }

    async fn deliver(&self, guid: &str, webhook: Webhook, is_again: bool) -> bool {
        let at = self.sender.now();
        let status = self.sender.deliver(webhook.clone()).await;
        let mut deliveries = self.lock();
        let id = 1_000_000 + deliveries.len() as u64;
        deliveries.push(Delivery { id, guid: guid.to_owned(), at, is_again, status, webhook });
        status.is_some_and(is_well)
    }

    fn find(&self, id: u64) -> Option<Delivery> {
        let found = self.lock().iter().find(|delivery| delivery.id == id).cloned();
        found.filter(|delivery| self.sender.shows(delivery.at))
    }
}

fn is_well(status: u16) -> bool {
    (200..300).contains(&status)
}

impl Delivery {
    fn json(&self) -> Value {
        let event = self.webhook.header("x-github-event").unwrap_or_default();
        json!({
            "id": self.id, "guid": self.guid, "delivered_at": self.at.to_string(), "redelivery": self.is_again, "duration": 0.2,
            "status": if self.status.is_some_and(is_well) { "OK" } else { "failed to connect to host" },
            "status_code": self.status.unwrap_or(502), "event": event, "action": null,
            "installation_id": null, "repository_id": 1,
        })
    }
}

#[derive(Debug, Deserialize)]
struct Asked {
    per_page: Option<usize>,
    cursor: Option<String>,
}

async fn list(State(shared): State<Arc<Shared>>, headers: HeaderMap, Query(asked): Query<Asked>) -> Answer {
    if let Some(refused) = shared.refused(&headers) {
        return refused;
    }
    let most = asked.per_page.unwrap_or(30).min(100).min(shared.sender.manners().per_page);
    let from = asked.cursor.as_deref().and_then(|cursor| cursor.strip_prefix("v1_")?.parse().ok());
    let mut shown: Vec<_> =
        shared.lock().iter().filter(|each| shared.sender.shows(each.at)).cloned().collect();
    shown.sort_by_key(|delivery| std::cmp::Reverse(delivery.id));
    shown.retain(|delivery| from.is_none_or(|from: u64| delivery.id <= from));
    let page: Vec<_> = shown.iter().take(most).map(Delivery::json).collect();
    let answer = Answer::of_json(200, &page.into());
    match shown.get(most) {
        None => answer,
        Some(next) => {
            let link = format!(
                "<https://api.github.com{HOOK}/deliveries?per_page={most}&cursor=v1_{}>; rel=\"next\"",
                next.id
            );
            answer.with("link", &link)
        }
    }
}

async fn show(State(shared): State<Arc<Shared>>, headers: HeaderMap, Path(id): Path<u64>) -> Answer {
    if let Some(refused) = shared.refused(&headers) {
        return refused;
    }
    let Some(delivery) = shared.find(id) else { return missing() };
    let payload: Value = serde_json::from_slice(&delivery.webhook.body).unwrap_or_default();
    let sent: serde_json::Map<_, _> =
        delivery.webhook.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let mut shown = delivery.json();
    shown["request"] = json!({ "headers": sent, "payload": payload });
    Answer::of_json(200, &shown)
}

async fn again(State(shared): State<Arc<Shared>>, headers: HeaderMap, Path(id): Path<u64>) -> Answer {
    if let Some(refused) = shared.refused(&headers) {
        return refused;
    }
    let Some(delivery) = shared.find(id) else { return missing() };
    if !shared.sender.manners().lies {
        tokio::spawn(async move { shared.deliver(&delivery.guid, delivery.webhook, true).await });
    }
    Answer::of_json(202, &json!({}))
}
