//! Square's events (<https://developer.squareup.com/reference/square/events-api/search-events>). Square keeps them for 28 days, if that has
//! been enabled, and tries to deliver for one day.

use serde_json::{Value, json};

use super::{
    Failure, Fetched, Item, Page, What, Window,
    api::{Api, Request},
    text, time,
};

const LIMIT: u32 = 50;
/// The API's version, so that its responses keep the format that is read here.
const VERSION: &str = "2025-01-23";

/// A page of events of this period, the newest first.
pub(super) async fn page(
    api: &Api<'_>,
    window: Window,
    page: Option<&str>,
    types: &[&str],
) -> Result<Page, Failure> {
    let created = json!({ "start_at": window.from.to_string(), "end_at": window.until.to_string() });
    let mut filter = json!({ "created_at": created });
    if !types.is_empty() {
        filter["event_types"] = json!(types);
    }
    let sort = json!({ "field": "DEFAULT", "order": "DESC" });
    let mut body = json!({ "limit": LIMIT, "query": { "filter": filter, "sort": sort } });
    if let Some(cursor) = page {
        body["cursor"] = cursor.into();
    }
    let headers = vec![("square-version", VERSION.to_owned())];
    let request = Request { headers, body: Some(body), ..Request::default() };
    let mut answer = api.post("/v2/events", request).await?;
    let events = match answer.json["events"].take() {
        Value::Array(events) => events,
        // Square leaves out empty fields.
        Value::Null if answer.json.is_object() => Vec::new(),
        _ => return Err(unreadable()),
    };
    let items = events.into_iter().map(|event| item(event).ok_or_else(unreadable));
    let next = Some(text(&answer.json["cursor"])).filter(|cursor| !cursor.is_empty());
    Ok(Page { items: items.collect::<Result<_, _>>()?, next })
}

fn item(event: Value) -> Option<Item> {
    Some(Item {
        at: time(&event["created_at"])?,
        event_id: event["event_id"].as_str()?.to_owned(),
        event_type: text(&event["type"]),
        what: What::Event(Fetched(event)),
    })
}

fn unreadable() -> Failure {
    Failure::Unavailable("answered no list of events".to_owned())
}
