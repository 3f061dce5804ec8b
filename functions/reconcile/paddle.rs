//! Paddle's events (<https://developer.paddle.com/api-reference/events/list-events>). Paddle keeps them for 90 days, and tries to deliver for
//! three. A fetched event lacks the `notification_id` of a delivered one.

use serde_json::Value;

use super::{
    Failure, Fetched, Item, Page, What,
    api::{Api, Request},
    text, time,
};

const PER_PAGE: &str = "50";

/// A page of events, the newest first.
pub(super) async fn page(api: &Api<'_>, page: Option<&str>) -> Result<Page, Failure> {
    let mut query = vec![("per_page", PER_PAGE.to_owned()), ("order_by", "id[DESC]".to_owned())];
    query.extend(page.map(|last| ("after", last.to_owned())));
    let mut answer = api.get("/events", Request { query, ..Request::default() }).await?;
    let Value::Array(data) = answer.json["data"].take() else { return Err(unreadable()) };
    let items = data.into_iter().map(|event| item(event).ok_or_else(unreadable));
    let items: Vec<_> = items.collect::<Result<_, _>>()?;
    let last = items.last().map(|item| item.event_id.clone());
    Ok(Page { items, next: last.filter(|_| answer.json["meta"]["pagination"]["has_more"] == true) })
}

fn item(event: Value) -> Option<Item> {
    Some(Item {
        at: time(&event["occurred_at"])?,
        event_id: event["event_id"].as_str()?.to_owned(),
        event_type: text(&event["event_type"]),
        what: What::Event(Fetched(event)),
    })
}

fn unreadable() -> Failure {
    Failure::Unavailable("answered no list of events".to_owned())
}
