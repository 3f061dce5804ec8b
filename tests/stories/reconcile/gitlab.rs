//! GitLab redelivers an event on request, with other bytes and the same signed id.

use anyhow::{Context, Result};
use local::{
    provider_api::{
        deliveries::Deliverer,
        gitlab::{self, EVENTS},
    },
    proxy::{End, Fault, FaultProxy, Seen},
    webhook::Webhook,
};
use serde_json::json;
use toml::{Table, Value};

use super::{Told, marks::until_marked, reconciled, recovered};
use crate::{
    printed::Printed,
    setup::{Story, add_steps, builder, config, settle},
};

async fn told() -> Result<Told<Deliverer>> {
    let provider = gitlab::start().await?;
    let api = FaultProxy::start(&provider.url()).await?;
    let mut config = config()?;
    let source: Table =
        "scheme = 'standard-webhooks'\nsecrets = ['A_SIGNING_TOKEN']\nevent_type = '{{ event.object_kind }}'"
            .parse()?;
    config.table()["sources"].as_table_mut().context("sources")?.insert("it".into(), Value::Table(source));
    reconciled(&mut config, "it", &api.url(), "project = 'octo/hello'\nhook = 1")?;
    add_steps(
        &mut config,
        "[[steps]]\nid = 'it'\non = { source = 'it', type = 'issue' }\nbusiness_key = '{{ event.object_attributes.iid }}'\n\
         input = { title = '{{ event.object_attributes.title }}' }\n\
         call = { url = 'https://tickets.example.com/it', json = { title = '{{ input.title }}' } }\nin_doubt = { policy = 'park' }",
    );
    let stack = builder(config)?.start().await?;
    let proxy = FaultProxy::start(&stack.url()).await?;
    provider.send_to(&proxy.url(), stack.config.source("it")?);
    stack.run_consumer().await?;
    Ok(Told { stack, provider, api, proxy })
}

fn issue(number: u64) -> Webhook {
    let event = json!({
        "object_kind": "issue", "user": { "email": "someone@example.com" },
        "object_attributes": { "iid": number, "title": format!("Issue {number}") },
    });
    Webhook::new("it", &event).with("x-gitlab-event", "Issue Hook")
}

fn resends(seen: &Seen) -> bool {
    seen.path.ends_with("/resend")
}

#[tokio::test]
async fn a_missed_gitlab_delivery_arrives_by_redelivery() -> Story {
    let told = told().await?;
    told.provider.behave(|manners| manners.per_page = 1);
    assert!(told.provider.send(issue(1)).await);
    settle(&told.stack).await?;
    told.proxy.close().await;
    for number in 2..4 {
        assert!(!told.provider.send(issue(number)).await);
    }
    // Ingest is still unreachable: GitLab tries, and reports that it failed.
    while told.api.seen_where(resends).is_empty() {
        told.stack.run_consumer().await?;
    }
    assert_eq!(told.api.seen_where(resends)[0].end, End::Upstream(422));
    told.proxy.open().await?;
    told.until_applied(3).await?;
    told.each_once(3);
    until_marked(&told, ":asked:it").await?;
    assert_eq!(recovered(&told.stack).await?.len(), 2);

    let before = told.provider.redelivered();
    told.look_again(EVENTS).await?;
    assert_eq!(told.provider.redelivered(), before, "what has arrived is not asked for");
    Ok(told.stack.finish().await?)
}

/// Our response is lost, so GitLab counts it as a failure. The redelivery has no email address any more, and the same id.
#[tokio::test]
async fn an_event_whose_answer_was_lost_is_done_once() -> Story {
    let told = told().await?;
    told.proxy.once(|seen| seen.method == "POST", Fault::CutAfter);
    assert!(!told.provider.send(issue(1)).await);
    settle(&told.stack).await?;
    while told.provider.redelivered() == 0 {
        told.stack.run_consumer().await?;
    }
    settle(&told.stack).await?;
    told.each_once(1);
    Ok(told.stack.finish().await?)
}

/// The hook had a wrong URL for a while. GitLab does not redeliver events of that time to another URL.
#[tokio::test]
async fn what_gitlab_sent_to_another_url_is_lost_and_told() -> Story {
    let told = told().await?;
    let source = told.stack.config.source("it")?;
    told.provider.send_to("http://127.0.0.1:9", source.clone());
    assert!(!told.provider.send(issue(1)).await);
    told.provider.send_to(&told.proxy.url(), source);
    told.proxy.close().await;
    assert!(!told.provider.send(issue(2)).await);
    told.proxy.open().await?;
    told.until_applied(1).await?;
    told.each_once(1);
    until_marked(&told, ":asked:it").await?;
    told.look_again(EVENTS).await?;
    let printed = Printed::by_consumer(&told.stack, 2).await?;
    printed.assert(&[("Recovered", 1.0), ("Unrecovered", 1.0)]);
    let lost: Vec<_> = printed.of("lost").collect();
    assert!(lost[0]["error"].as_str().unwrap().contains("URL has changed"), "{lost:?}");
    Ok(told.stack.finish().await?)
}
