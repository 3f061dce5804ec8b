//! Square: an application with one webhook subscription, whose events have been enabled.
//!
//! As in <https://developer.squareup.com/reference/square/events-api/search-events>: a POST with `query.filter` (`event_types`, `created_at` with
//! `start_at` and `end_at`) and `query.sort` (`order`, the oldest first unless it is `DESC`), `limit` up to 100, and the next page by `cursor`, with
//! the same query. Empty fields are left out of the response, and times have no zone, as in that page's example. After 28 days an event is removed
//! (<https://developer.squareup.com/docs/events-api/overview>). A response to too many requests has no `Retry-After`
//! (<https://developer.squareup.com/docs/build-basics/general-considerations/handling-errors>).

use std::sync::Arc;

use anyhow::{Context, Result};
use axum::{Json, Router, extract::State, http::HeaderMap, routing::post};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

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
        at: "created_at",
        date: |at| at.to_string().into(),
        keeps: SignedDuration::from_hours(28 * 24),
    };
    let router = |feed| Router::new().route("/v2/events", post(search)).with_state(feed);
    Listed::start(form, router).await.context("Square")
}

async fn search(State(feed): State<Arc<Feed>>, headers: HeaderMap, Json(asked): Json<Value>) -> Answer {
    if let Some(refused) = refused(&headers) {
        return refused;
    }
    if feed.sender.limited().is_some() {
        return error(429, "RATE_LIMIT_ERROR", "RATE_LIMITED");
    }
    let (filter, sort) = (&asked["query"]["filter"], &asked["query"]["sort"]);
    let mut shown = feed.shown();
    if sort["order"] == "DESC" {
        shown.reverse();
    }
    let time = |name: &str| filter["created_at"][name].as_str().and_then(|at| at.parse::<Timestamp>().ok());
    let (start, end) = (time("start_at"), time("end_at"));
    let types = filter["event_types"].as_array();
    shown.retain(|event| {
        start.is_none_or(|start| start <= event.at)
            && end.is_none_or(|end| event.at <= end)
            && types.is_none_or(|types| types.contains(&event.json["type"]))
    });
    // A cursor belongs to its query.
    let query = hex::encode(Sha256::digest(asked["query"].to_string()));
    if let Some(cursor) = asked["cursor"].as_str() {
        let last = cursor.split_once(':').filter(|(of, _)| *of == query).map(|(_, last)| last);
        let place = shown.iter().position(|event| Some(event.json["event_id"].as_str()) == last.map(Some));
        let Some(place) = place else { return error(400, "INVALID_REQUEST_ERROR", "INVALID_CURSOR") };
        shown.drain(..=place);
    }
    let most = asked["limit"].as_u64().and_then(|limit| usize::try_from(limit).ok()).unwrap_or(100);
    let most = most.min(100).min(feed.sender.manners().per_page);
    let has_more = shown.len() > most;
    let events: Vec<_> = shown.into_iter().take(most).map(listed).collect();
    let mut answer = json!({});
    if let Some(last) = events.last() {
        if has_more {
            answer["cursor"] = format!("{query}:{}", last["event_id"].as_str().unwrap_or_default()).into();
        }
        let versions = events.iter().map(|event| json!({ "event_id": event["event_id"], "api_version": headers.get("square-version").and_then(|version| version.to_str().ok()) }));
        answer["metadata"] = versions.collect();
        answer["events"] = events.into();
    }
    Answer::of_json(200, &answer)
}

fn listed(event: Event) -> Value {
    let mut json = event.json;
    json["created_at"] = event.at.to_string().trim_end_matches('Z').into();
    json
}

fn error(status: u16, category: &str, code: &str) -> Answer {
    Answer::of_json(status, &json!({ "errors": [{ "category": category, "code": code }] }))
}
