//! GitLab's webhook events (<https://docs.gitlab.com/api/project_webhooks/#list-project-webhook-events>, `/group_webhooks`). GitLab keeps them
//! for seven days, delivers once, and redelivers on request, five per minute. A redelivery has the same `Idempotency-Key`, which a signing
//! token signs as `webhook-id` (<https://docs.gitlab.com/user/project/integrations/webhooks/>), and `[REDACTED]` in place of email addresses.

use serde_json::Value;

use super::{
    Delivery, Failure, Item, Page, Sent,
    api::{Api, Request},
    text, time,
};
use crate::config::reconcile::GitLabHook;

/// Events per page, each with its whole request and response. GitLab returns 20 at most.
const PER_PAGE: &str = "10";
/// The placeholder for an event that was too large to be kept.
const OVERSIZE: &str = "oversize";

/// A page of events, the newest first. Pages are numbered: while new events arrive, one may be seen twice, but none is missed.
pub(super) async fn page(api: &Api<'_>, hook: &GitLabHook, page: Option<&str>) -> Result<Page, Failure> {
    let mut query = vec![("per_page", PER_PAGE.to_owned())];
    query.extend(page.map(|number| ("page", number.to_owned())));
    let answer = api.get(&path(hook), Request { query, ..Request::default() }).await?;
    let Value::Array(events) = answer.json else { return Err(unreadable()) };
    let items = events.into_iter().map(|event| item(event).ok_or_else(unreadable));
    let next = answer.headers.get("x-next-page").and_then(|next| next.to_str().ok());
    let next = next.filter(|next| !next.is_empty()).map(str::to_owned);
    Ok(Page { items: items.collect::<Result<_, _>>()?, next })
}

/// Requests a redelivery, and waits until it is made. GitLab refuses (422) if ingest can't be reached, or if the hook is disabled or its URL has
/// changed since. The last case is permanent.
pub(super) async fn redeliver(api: &Api<'_>, hook: &GitLabHook, delivery: &Delivery) -> Result<(), Failure> {
    if delivery.listed["request_data"][OVERSIZE] == true {
        return Err(Failure::Gone { status: 200, why: "it was too large to be kept".to_owned() });
    }
    match api.post(&format!("{}/{}/resend", path(hook), delivery.id), Request::default()).await {
        Err(Failure::Gone { status: 422, why }) if !why.contains("URL has changed") => {
            Err(Failure::Unavailable(format!("it could not deliver again: {why}")))
        }
        answer => answer.map(drop),
    }
}

/// What was sent, with `[REDACTED]` in place of email addresses.
pub(super) fn sent(delivery: &Delivery) -> Sent {
    let headers = delivery.listed["request_headers"].as_object().into_iter().flatten();
    let headers = headers.filter_map(|(name, value)| {
        let (name, value) = (name.to_lowercase(), value.as_str()?.to_owned());
        match name.as_str() {
            "idempotency-key" => Some(("webhook-id".to_owned(), value)),
            "x-gitlab-event" => Some((name, value)),
            _ => None,
        }
    });
    Sent { headers: headers.collect(), body: delivery.listed["request_data"].clone() }
}

/// Our response to a delivery.
pub(super) fn answer(delivery: &Delivery) -> String {
    text(&delivery.listed["response_body"])
}

fn path(hook: &GitLabHook) -> String {
    match hook {
        GitLabHook::Project(name, hook) => {
            format!("/projects/{}/hooks/{hook}/events", name.replace('/', "%2F"))
        }
        GitLabHook::Group(name, hook) => format!("/groups/{}/hooks/{hook}/events", name.replace('/', "%2F")),
    }
}

fn item(listed: Value) -> Option<Item> {
    // The status as a text, or why there was no response.
    let is_well = listed["response_status"].as_str().is_some_and(|status| status.starts_with('2'));
    Some(Item {
        at: time(&listed["created_at"])?,
        event_id: listed["request_headers"]["Idempotency-Key"].as_str()?.to_owned(),
        event_type: text(&listed["request_data"]["object_kind"]),
        what: Delivery { id: listed["id"].as_u64()?.to_string(), listed }.that(is_well),
    })
}

fn unreadable() -> Failure {
    Failure::Unavailable(
        "answered no list of events, each with created_at and its Idempotency-Key".to_owned(),
    )
}
