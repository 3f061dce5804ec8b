//! Stripe's events (<https://docs.stripe.com/api/events/list>). Stripe keeps them for 30 days, and tries to deliver for three.

use serde_json::Value;

use super::{
    Failure, Fetched, Item, Page, What, Window,
    api::{Api, Request},
    text,
};
use crate::config::reconcile::Events;

/// Events per page, of some kilobytes each.
const LIMIT: &str = "50";

/// A page of events of this period, the newest first.
pub(super) async fn page(
    api: &Api<'_>,
    window: Window,
    page: Option<&str>,
    events: Events,
    account: Option<&str>,
    types: &[&str],
) -> Result<Page, Failure> {
    let mut query = vec![
        ("limit", LIMIT.to_owned()),
        ("created[gte]", window.from.as_second().to_string()),
        ("created[lte]", window.until.as_second().to_string()),
    ];
    if events == Events::Failed {
        query.push(("delivery_success", "false".to_owned()));
    }
    query.extend(types.iter().map(|name| ("types[]", (*name).to_owned())));
    query.extend(page.map(|last| ("starting_after", last.to_owned())));
    let headers = account.map(|account| ("stripe-account", account.to_owned())).into_iter().collect();
    let mut answer = api.get("/v1/events", Request { query, headers, body: None }).await?;
    let Value::Array(data) = answer.json["data"].take() else { return Err(unreadable()) };
    let items = data.into_iter().map(|event| item(event).ok_or_else(unreadable));
    let items: Vec<_> = items.collect::<Result<_, _>>()?;
    let last = items.last().map(|item| item.event_id.clone());
    Ok(Page { items, next: last.filter(|_| answer.json["has_more"] == true) })
}

fn item(event: Value) -> Option<Item> {
    Some(Item {
        at: jiff::Timestamp::from_second(event["created"].as_i64()?).ok()?,
        event_id: event["id"].as_str()?.to_owned(),
        event_type: text(&event["type"]),
        what: What::Event(Fetched(event)),
    })
}

fn unreadable() -> Failure {
    Failure::Unavailable("answered no list of events".to_owned())
}
