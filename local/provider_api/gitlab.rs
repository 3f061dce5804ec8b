//! GitLab: a project's webhook with a signing token. It delivers once, and again on request.
//!
//! As in <https://docs.gitlab.com/api/project_webhooks/>: events of seven days from the newest on, with request and response; `per_page` up to 20,
//! the next page by the number in `X-Next-Page`. `resend` accepts five requests per minute, delivers during the request, and answers 201 with the
//! status, or 422 if there was no response or the hook's URL has changed since. A redelivery has the same `Idempotency-Key`, and `[REDACTED]` for
//! each email address, as the list has; `webhook-id` is that key
//! (<https://docs.gitlab.com/user/project/integrations/webhooks/>).

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
use crate::{http::Answer, webhook::Webhook};

/// The path of the hook's events in its API.
pub const EVENTS: &str = "/projects/octo%2Fhello/hooks/1/events";
const MOST_RESENT: usize = 5;

/// Starts it.
///
/// # Errors
/// No port is free.
pub async fn start() -> Result<Deliverer> {
    let router = |log| {
        Router::new()
            .route("/projects/{id}/hooks/{hook}/events", get(list))
            .route("/projects/{id}/hooks/{hook}/events/{event}/resend", post(resend))
            .with_state(log)
    };
    Deliverer::start("webhook-id", SignedDuration::from_hours(7 * 24), router).await.context("GitLab")
}

/// A body as it is kept.
fn redacted(mut value: Value) -> Value {
    match &mut value {
        Value::String(text) if text.contains('@') && !text.contains(' ') => "[REDACTED]".into(),
        Value::Array(items) => items.drain(..).map(redacted).collect(),
        Value::Object(fields) => {
            Value::Object(std::mem::take(fields).into_iter().map(|(name, it)| (name, redacted(it))).collect())
        }
        _ => value,
    }
}

fn listed(delivery: &Delivery) -> Value {
    let status = delivery.status.map_or("internal error".to_owned(), |status| status.to_string());
    json!({
        "id": delivery.id, "url": delivery.url, "trigger": "issue_hooks", "request_headers": {
            "Content-Type": "application/json", "Idempotency-Key": delivery.name, "X-Gitlab-Event": delivery.webhook.header("x-gitlab-event"),
            "webhook-id": delivery.name,
        },
        "request_data": redacted(delivery.webhook.json()), "response_headers": {}, "response_body": delivery.answer,
        "execution_duration": 0.2, "response_status": status, "created_at": delivery.at.to_string(),
    })
}

#[derive(Debug, Deserialize)]
struct Asked {
    page: Option<usize>,
    per_page: Option<usize>,
}

async fn list(State(log): State<Arc<Log>>, headers: HeaderMap, Query(asked): Query<Asked>) -> Answer {
    if let Some(answer) = turned_away(&log, &headers) {
        return answer;
    }
    let (page, most) = (asked.page.unwrap_or(1).max(1), asked.per_page.unwrap_or(20));
    if !(1..=20).contains(&most) {
        return Answer::of_json(400, &json!({ "error": "per_page does not have a valid value" }));
    }
    let most = most.min(log.sender.manners().per_page);
    let shown = log.shown();
    let events: Vec<_> = shown.iter().skip((page - 1) * most).take(most).map(listed).collect();
    let next = if shown.len() > page * most { (page + 1).to_string() } else { String::new() };
    Answer::of_json(200, &events.into()).with("x-next-page", &next)
}

async fn resend(
    State(log): State<Arc<Log>>,
    headers: HeaderMap,
    Path((_, _, event)): Path<(String, u64, u64)>,
) -> Answer {
    if let Some(answer) = turned_away(&log, &headers) {
        return answer;
    }
    let a_minute_ago = Timestamp::now() - SignedDuration::from_mins(1) + log.sender.manners().ahead;
    if log.shown().iter().filter(|it| it.is_again && it.at > a_minute_ago).count() >= MOST_RESENT {
        return too_many();
    }
    let Some(delivery) = log.find(event) else { return missing() };
    if delivery.url != log.sender.url() {
        let message = "The hook URL has changed, and this log entry cannot be retried";
        return Answer::of_json(422, &json!({ "message": message }));
    }
    let Delivery { name, webhook, .. } = delivery;
    if log.sender.manners().lies {
        return Answer::of_json(201, &json!({ "response_status": 200 }));
    }
    let kept = Webhook { body: redacted(webhook.json()).to_string().into(), ..webhook };
    match log.deliver(&name, kept, true).await.status {
        Some(status) => Answer::of_json(201, &json!({ "response_status": status })),
        None => Answer::of_json(422, &json!({ "message": "Failed to open TCP connection" })),
    }
}

/// The response to a request without the right key, or above the rate limit.
fn turned_away(log: &Log, headers: &HeaderMap) -> Option<Answer> {
    refused(headers).or_else(|| log.sender.limited().map(|_| too_many()))
}

fn too_many() -> Answer {
    let error = "This endpoint has been requested too many times. Try again later.";
    Answer::of_json(429, &json!({ "message": { "error": error } }))
}
