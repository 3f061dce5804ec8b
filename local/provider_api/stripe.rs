//! Stripe: an account with one webhook endpoint.
//!
//! As in <https://docs.stripe.com/api/events/list>: events from the newest on, `limit` up to 100, the next page by `starting_after` while
//! `has_more`; `created[gte]` and `created[lte]` in seconds, `types[]`, and `delivery_success`, which is false also while a delivery is pending.
//! Events of a connected account are listed if `Stripe-Account` names it (<https://docs.stripe.com/connect/authentication>). After 30 days an event
//! is removed, and can't be used as `starting_after` (400, `resource_missing`). A response to too many requests has no `Retry-After`
//! (<https://docs.stripe.com/rate-limits>).

use std::sync::Arc;

use anyhow::{Context, Result};
use axum::{
    Router,
    extract::{RawQuery, State},
    http::HeaderMap,
    routing::get,
};
use jiff::SignedDuration;
use serde_json::json;
use url::form_urlencoded;

use super::{
    events::{Feed, Form, Listed},
    refused,
};
use crate::http::Answer;

/// Starts it.
///
/// # Errors
/// No port is free.
pub async fn start() -> Result<Listed> {
    let form = Form {
        id: "id",
        at: "created",
        date: |at| at.as_second().into(),
        keeps: SignedDuration::from_hours(30 * 24),
    };
    let router = |feed| Router::new().route("/v1/events", get(list)).with_state(feed);
    Listed::start(form, router).await.context("Stripe")
}

async fn list(State(feed): State<Arc<Feed>>, headers: HeaderMap, RawQuery(query): RawQuery) -> Answer {
    if let Some(refused) = refused(&headers) {
        return refused;
    }
    if feed.sender.limited().is_some() {
        return Answer::of_json(
            429,
            &json!({ "error": { "type": "invalid_request_error", "code": "rate_limit" } }),
        );
    }
    let query: Vec<(String, String)> =
        form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect();
    let all = |name: &str| {
        query.iter().filter(|(other, _)| other == name).map(|(_, value)| value.clone()).collect::<Vec<_>>()
    };
    let one = |name: &str| all(name).into_iter().next();
    let number = |name: &str| one(name).and_then(|value| value.parse::<i64>().ok());
    let manners = feed.sender.manners();
    let account = headers.get("stripe-account").and_then(|account| account.to_str().ok());
    let mut shown = if account == manners.account { feed.shown() } else { Vec::new() };
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
