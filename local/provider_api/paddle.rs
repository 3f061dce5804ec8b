//! Paddle: an account with one notification destination.
//!
//! As in <https://developer.paddle.com/api-reference/events/list-events> and `/api-reference/about/pagination`: events from the oldest
//! on unless `order_by` says `id[DESC]`, `per_page` up to 200, the next page by `after` with the id of the last one while
//! `has_more`; nothing is filtered by type or time. Its events are listed without the `notification_id` of a delivered one. After 90
//! days an event is gone (<https://developer.paddle.com/changelog/2024/event-notification-retention-changes>). Too many requests are
//! answered 429 with `Retry-After` (<https://developer.paddle.com/api-reference/about/rate-limiting>).

use std::sync::Arc;

use anyhow::{Context, Result};
use axum::{
    Router,
    extract::{Query, State},
    http::HeaderMap,
    routing::get,
};
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    events::{Event, Feed, Form, Listed},
    refused,
};
use crate::http::Answer;

/// Starts it.
///
/// # Errors
/// No port is free.
pub async fn start() -> Result<Listed> {
    let form = Form {
        id: "event_id",
        at: "occurred_at",
        date: |at| at.to_string().into(),
        keeps: SignedDuration::from_hours(90 * 24),
    };
    let router = |feed| Router::new().route("/events", get(list)).with_state(feed);
    Listed::start(form, router).await.context("Paddle")
}

#[derive(Debug, Deserialize)]
struct Asked {
    after: Option<String>,
    order_by: Option<String>,
    per_page: Option<usize>,
}

async fn list(State(feed): State<Arc<Feed>>, headers: HeaderMap, Query(asked): Query<Asked>) -> Answer {
    if let Some(refused) = refused(&headers) {
        return refused;
    }
    if let Some(seconds) = feed.sender.limited() {
        return error(429, "too_many_requests").with("retry-after", &seconds.to_string());
    }
    // As if ids were in order of time, as Paddle's are.
    let mut shown = feed.shown();
    match asked.order_by.as_deref() {
        None | Some("id[ASC]") => {}
        Some("id[DESC]") => shown.reverse(),
        Some(_) => return error(400, "bad_request"),
    }
    if let Some(last) = asked.after {
        let Some(place) = shown.iter().position(|event| event.json["event_id"] == last) else {
            return error(400, "bad_request");
        };
        shown.drain(..=place);
    }
    let most = asked.per_page.unwrap_or(50).min(200).min(feed.sender.manners().per_page);
    let has_more = shown.len() > most;
    let total = shown.len();
    let data: Vec<_> = shown.into_iter().take(most).map(listed).collect();
    let last = data.last().map(|event| event["event_id"].clone()).unwrap_or_default();
    let next =
        format!("https://api.paddle.com/events?per_page={most}&after={}", last.as_str().unwrap_or_default());
    let pagination =
        json!({ "per_page": most, "next": next, "has_more": has_more, "estimated_total": total });
    Answer::of_json(
        200,
        &json!({ "data": data, "meta": { "request_id": "local", "pagination": pagination } }),
    )
}

fn listed(event: Event) -> Value {
    let mut json = event.json;
    json.as_object_mut().map(|fields| fields.remove("notification_id"));
    json
}

fn error(status: u16, code: &str) -> Answer {
    Answer::of_json(
        status,
        &json!({ "error": { "type": "request_error", "code": code }, "meta": { "request_id": "local" } }),
    )
}
