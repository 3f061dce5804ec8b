//! Paddle and Square, whose APIs list every event, delivered or not; and the requests to Stripe.

use std::time::Duration;

use anyhow::{Context, Result};
use local::{
    provider_api::{events::Listed, paddle, square, stripe},
    proxy::{FaultProxy, Seen},
    webhook::Webhook,
};
use serde_json::json;
use toml::{Table, Value};

use super::{Told, reconciled, recovered};
use crate::setup::{Story, add_steps, builder, config, dispute_about, settle};

/// A stack with the source and its provider, which is asked all the time. One step wants paid events.
async fn told(provider: Listed, source: &str) -> Result<Told<Listed>> {
    let api = FaultProxy::start(&provider.url()).await?;
    let mut config = config()?;
    let source: Table = source.parse()?;
    config.table()["sources"].as_table_mut().context("sources")?.insert("it".into(), Value::Table(source));
    reconciled(&mut config, "it", &api.url(), "")?;
    add_steps(
        &mut config,
        "[[steps]]\nid = 'it'\non = { source = 'it', type = 'paid' }\nbusiness_key = '{{ event.event_id }}'\n\
         call = { url = 'https://tickets.example.com/it' }\nin_doubt = { policy = 'park' }",
    );
    let stack = builder(config)?.start().await?;
    let proxy = FaultProxy::start(&stack.url()).await?;
    provider.send_to(&proxy.url(), stack.config.source("it")?);
    stack.run_consumer().await?;
    Ok(Told { stack, provider, api, proxy })
}

/// Ingest is unreachable and reachable again; pages hold one event, and the provider limits requests for a while. Returns the requests.
async fn what_was_missed_is_fetched_once(
    told: &Told<Listed>,
    event: impl Fn(&str, &str) -> Webhook,
) -> Result<Vec<Seen>> {
    let sent = |id: &str, kind: &str| told.provider.send(event(id, kind));
    told.provider.behave(|manners| manners.per_page = 1);
    assert!(sent("evt_0", "paid").await);
    settle(&told.stack).await?;
    told.proxy.close().await;
    for (id, kind) in [("evt_1", "paid"), ("evt_2", "other"), ("evt_3", "paid")] {
        assert!(!sent(id, kind).await);
    }
    told.turned_away_for(Duration::from_secs(2), 429).await?;
    told.until_applied(3).await?;
    told.each_once(3);
    assert_eq!(recovered(&told.stack).await?.len(), 2, "the one that was delivered is none of them");
    let asked = told.api.seen();

    // A late delivery is a duplicate.
    told.proxy.open().await?;
    assert!(sent("evt_3", "paid").await);
    settle(&told.stack).await?;
    told.each_once(3);
    Ok(asked)
}

pub(super) async fn paddle() -> Result<Told<Listed>> {
    told(paddle::start().await?, "scheme = 'paddle'\nsecrets = ['A_WEBHOOK_SECRET']\ntolerance = '1m'").await
}

pub(super) fn paddle_event(id: &str, kind: &str) -> Webhook {
    let notification = format!("ntf_{id}");
    let event = json!({ "event_id": id, "event_type": kind, "notification_id": notification, "data": {} });
    Webhook::new("it", &event)
}

#[tokio::test]
async fn what_paddle_could_not_deliver_is_fetched_and_done_once() -> Story {
    let told = paddle().await?;
    what_was_missed_is_fetched_once(&told, paddle_event).await?;
    Ok(told.stack.finish().await?)
}

#[tokio::test]
async fn what_square_could_not_deliver_is_fetched_and_done_once() -> Story {
    let source = "scheme = 'square'\nsecrets = ['A_WEBHOOK_SECRET']\npublic_url = 'https://hooks.example.com/webhooks/it'";
    let told = told(square::start().await?, source).await?;
    let event = |id: &str, kind: &str| {
        Webhook::new("it", &json!({ "event_id": id, "type": kind, "merchant_id": "M", "data": {} }))
    };
    let asked = what_was_missed_is_fetched_once(&told, event).await?;
    let query = &asked[0].json()["query"]["filter"];
    assert_eq!(query["event_types"], json!(["paid"]), "no others are fetched");
    assert!(query["created_at"]["start_at"].is_string(), "{query}");
    Ok(told.stack.finish().await?)
}

/// Only events of that account, and of types that a step wants, are requested.
#[tokio::test]
async fn stripe_is_asked_for_an_account_and_for_what_is_wanted() -> Story {
    let provider = stripe::start().await?;
    provider.behave(|manners| manners.account = Some("acct_1"));
    let api = FaultProxy::start(&provider.url()).await?;
    let mut config = config()?;
    reconciled(&mut config, "stripe", &api.url(), "account = 'acct_1'")?;
    let on = config.step("open_ticket")["on"].as_table_mut().context("on")?;
    on.insert("type".into(), "charge.dispute.created".into());
    let stack = builder(config)?.start().await?;
    let proxy = FaultProxy::start(&stack.url()).await?;
    provider.send_to(&proxy.url(), stack.config.source("stripe")?);
    stack.run_consumer().await?;
    let told = Told { stack, provider, api, proxy };
    told.proxy.close().await;
    told.provider.send(dispute_about("dp_1")?).await;
    let closed = |event: &mut serde_json::Value| event["type"] = "charge.dispute.closed".into();
    told.provider.send(dispute_about("dp_2")?.edited(closed)).await;
    told.until_applied(1).await?;
    told.each_once(1);
    let asked = told.api.seen();
    assert!(asked.iter().all(|seen| seen.query.contains("types%5B%5D=charge.dispute.created")), "{asked:#?}");
    Ok(told.stack.finish().await?)
}
