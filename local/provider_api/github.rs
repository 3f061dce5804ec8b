//! GitHub: a repository's webhook. It delivers once, and again on request.
//!
//! As in <https://docs.github.com/en/rest/repos/webhooks>: deliveries from the newest on, `per_page` up to 100, the next page by the `cursor` of the
//! `Link` header. A redelivery keeps the `guid`, is requested by `POST …/attempts`, and answered 202 before it is made. One delivery is shown with
//! its request and the response. After three days it is removed (404). Too many requests are answered 403, with the remaining limit and its reset
//! time (<https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit>).

use std::sync::Arc;

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

use super::{
    deliveries::{Deliverer, Delivery, Log},
    missing, refused,
};
use crate::http::Answer;

/// The hook's path in its API.
pub const HOOK: &str = "/repos/octo/hello/hooks/1";

/// Starts it.
///
/// # Errors
/// No port is free.
pub async fn start() -> Result<Deliverer> {
    let router = |log| {
        Router::new()
            .route(&format!("{HOOK}/deliveries"), get(list))
            .route(&format!("{HOOK}/deliveries/{{id}}"), get(show))
            .route(&format!("{HOOK}/deliveries/{{id}}/attempts"), post(again))
            .with_state(log)
    };
    Deliverer::start("x-github-delivery", SignedDuration::from_hours(72), router).await.context("GitHub")
}

/// The response to a request without the right key, or above the rate limit.
fn turned_away(log: &Log, headers: &HeaderMap) -> Option<Answer> {
    if let Some(refused) = refused(headers) {
        return Some(refused);
    }
    let reset = Timestamp::now().as_second() + log.sender.limited()?;
    let limited = Answer::of_json(403, &json!({ "message": "API rate limit exceeded" }));
    Some(limited.with("x-ratelimit-remaining", "0").with("x-ratelimit-reset", &reset.to_string()))
}

fn listed(delivery: &Delivery) -> Value {
    let event = delivery.webhook.header("x-github-event").unwrap_or_default();
    json!({
        "id": delivery.id, "guid": delivery.name, "delivered_at": delivery.at.to_string(), "redelivery": delivery.is_again,
        "duration": 0.2, "status": if delivery.is_well() { "OK" } else { "failed to connect to host" },
        "status_code": delivery.status.unwrap_or(502), "event": event, "action": null, "installation_id": null,
        "repository_id": 1,
    })
}

#[derive(Debug, Deserialize)]
struct Asked {
    per_page: Option<usize>,
    cursor: Option<String>,
}

async fn list(State(log): State<Arc<Log>>, headers: HeaderMap, Query(asked): Query<Asked>) -> Answer {
    if let Some(answer) = turned_away(&log, &headers) {
        return answer;
    }
    let most = asked.per_page.unwrap_or(30).min(100).min(log.sender.manners().per_page);
    let from = asked.cursor.as_deref().and_then(|cursor| cursor.strip_prefix("v1_")?.parse().ok());
    let mut shown = log.shown();
    shown.retain(|delivery| from.is_none_or(|from: u64| delivery.id <= from));
    let page: Vec<_> = shown.iter().take(most).map(listed).collect();
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

async fn show(State(log): State<Arc<Log>>, headers: HeaderMap, Path(id): Path<u64>) -> Answer {
    if let Some(answer) = turned_away(&log, &headers) {
        return answer;
    }
    let Some(delivery) = log.find(id) else { return missing() };
    let sent: serde_json::Map<_, _> =
        delivery.webhook.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let mut shown = listed(&delivery);
    shown["request"] = json!({ "headers": sent, "payload": delivery.webhook.json() });
    shown["response"] = json!({ "headers": {}, "payload": delivery.answer });
    Answer::of_json(200, &shown)
}

async fn again(State(log): State<Arc<Log>>, headers: HeaderMap, Path(id): Path<u64>) -> Answer {
    if let Some(answer) = turned_away(&log, &headers) {
        return answer;
    }
    let Some(delivery) = log.find(id) else { return missing() };
    if !log.sender.manners().lies {
        tokio::spawn(async move { log.deliver(&delivery.name, delivery.webhook, true).await });
    }
    Answer::of_json(202, &json!({}))
}
