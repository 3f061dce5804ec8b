//! GitHub's deliveries (<https://docs.github.com/en/rest/repos/webhooks>, `/orgs/webhooks`, `/apps/webhooks`). GitHub never redelivers
//! automatically, and recommends this procedure
//! (<https://docs.github.com/en/webhooks/using-webhooks/handling-failed-webhook-deliveries>). It keeps deliveries for three days.

use http::{HeaderMap, header};
use serde_json::Value;
use url::Url;

use super::{
    Delivery, Failure, Item, Page, Sent,
    api::{Api, Request},
    text, time,
};
use crate::config::reconcile::Hook;

const PER_PAGE: &str = "30";

/// A page of deliveries, the newest first.
pub(super) async fn page(api: &Api<'_>, hook: &Hook, page: Option<&str>) -> Result<Page, Failure> {
    let mut request = versioned();
    request.query.push(("per_page", PER_PAGE.to_owned()));
    request.query.extend(page.map(|cursor| ("cursor", cursor.to_owned())));
    let answer = api.get(&format!("{}/deliveries", path(hook)), request).await?;
    let Value::Array(deliveries) = answer.json else { return Err(unreadable()) };
    let items = deliveries.into_iter().map(|delivery| item(delivery).ok_or_else(unreadable));
    Ok(Page { items: items.collect::<Result<_, _>>()?, next: next(&answer.headers) })
}

/// Requests a redelivery. GitHub accepts it (202) and redelivers soon.
pub(super) async fn redeliver(api: &Api<'_>, hook: &Hook, delivery: &Delivery) -> Result<(), Failure> {
    let attempts = format!("{}/deliveries/{}/attempts", path(hook), delivery.id);
    api.post(&attempts, versioned()).await.map(drop)
}

/// What was sent. The body has the same JSON value, but not the same bytes.
pub(super) async fn sent(api: &Api<'_>, hook: &Hook, delivery: &Delivery) -> Result<Sent, Failure> {
    let mut whole = whole(api, hook, delivery).await?;
    let headers = whole["request"]["headers"].as_object().into_iter().flatten();
    let headers = headers.filter_map(|(name, value)| Some((name.to_lowercase(), value.as_str()?.to_owned())));
    let headers = headers.filter(|(name, _)| name.starts_with("x-github-")).collect();
    Ok(Sent { headers, body: whole["request"]["payload"].take() })
}

/// Our response to a delivery.
pub(super) async fn answer(api: &Api<'_>, hook: &Hook, delivery: &Delivery) -> Result<String, Failure> {
    Ok(text(&whole(api, hook, delivery).await?["response"]["payload"]))
}

async fn whole(api: &Api<'_>, hook: &Hook, delivery: &Delivery) -> Result<Value, Failure> {
    let answer = api.get(&format!("{}/deliveries/{}", path(hook), delivery.id), versioned()).await?;
    Ok(answer.json)
}

fn versioned() -> Request<'static> {
    let headers = vec![("x-github-api-version", "2022-11-28".to_owned())];
    Request { headers, ..Request::default() }
}

fn path(hook: &Hook) -> String {
    match hook {
        Hook::Repository(name, hook) => format!("/repos/{name}/hooks/{hook}"),
        Hook::Organization(name, hook) => format!("/orgs/{name}/hooks/{hook}"),
        Hook::App(_) => "/app/hook".to_owned(),
    }
}

fn item(listed: Value) -> Option<Item> {
    let is_well = listed["status_code"].as_u64().is_some_and(|status| (200..300).contains(&status));
    Some(Item {
        at: time(&listed["delivered_at"])?,
        event_id: listed["guid"].as_str()?.to_owned(),
        event_type: text(&listed["event"]),
        what: Delivery { id: listed["id"].as_u64()?.to_string(), listed }.that(is_well),
    })
}

fn unreadable() -> Failure {
    Failure::Unavailable("answered no list of deliveries".to_owned())
}

/// The cursor in the `Link` header. The URL in it is not followed, so that no response can redirect us.
fn next(headers: &HeaderMap) -> Option<String> {
    let links = headers.get_all(header::LINK).iter().filter_map(|line| line.to_str().ok());
    let mut links = links.flat_map(|line| line.split(','));
    let link = links.find(|link| link.contains("rel=\"next\""))?;
    let url = Url::parse(link.split_once('<')?.1.split_once('>')?.0).ok()?;
    url.query_pairs().find(|(name, _)| name == "cursor").map(|(_, cursor)| cursor.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_hook_has_its_own_path() {
        let hooks = [
            Hook::Repository("octo/hello".to_owned(), 7),
            Hook::Organization("octo".to_owned(), 7),
            Hook::App("Iv23".to_owned()),
        ];
        assert_eq!(
            hooks.map(|hook| path(&hook)),
            ["/repos/octo/hello/hooks/7", "/orgs/octo/hooks/7", "/app/hook"]
        );
    }

    #[test]
    fn the_next_page_is_named_by_the_link_header() {
        let of = |value: &str| next(&HeaderMap::from_iter([(header::LINK, value.parse().unwrap())]));
        let both = r#"<https://api.github.com/repositories/1/hooks/2/deliveries?per_page=1>; rel="first", <https://api.github.com/repositories/1/hooks/2/deliveries?per_page=1&cursor=v1_123>; rel="next""#;
        assert_eq!(of(both).as_deref(), Some("v1_123"));
        for none in
            ["", "<>; rel=\"next\"", r#"<https://api.github.com/?cursor=1>; rel="prev""#, "rel=\"next\""]
        {
            assert_eq!(of(none), None, "{none}");
        }
    }
}
