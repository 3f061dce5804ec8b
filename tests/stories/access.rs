//! Access to ingest: which requests are accepted, and what refused senders learn.

use std::time::Duration;

use jiff::Timestamp;
use local::webhook::Webhook;

use crate::setup::{Story, builder, config, dispute, stack};

#[tokio::test]
async fn a_forged_a_stale_and_an_unsigned_webhook_are_refused_alike_and_nothing_happens() -> Story {
    let stack = stack().await?;
    let forged = Webhook::sample("forged.github.issues.opened")?;
    let tampered = {
        let source = stack.config.source("stripe")?;
        let mut signed = dispute()?.signed(&source, Timestamp::now())?;
        signed.body = signed
            .body
            .to_vec()
            .iter()
            .map(|b| if *b == b'7' { b'8' } else { *b })
            .collect::<Vec<_>>()
            .into();
        signed
    };
    let unsigned = dispute()?;
    let answers = [
        stack.post_webhook(&forged).await?,
        stack.post_webhook(&tampered).await?,
        stack.post_webhook(&unsigned).await?,
        stack.deliver_signed_at(&dispute()?, Timestamp::now() - Duration::from_secs(301)).await?,
        stack.deliver_signed_at(&dispute()?, Timestamp::now() + Duration::from_secs(330)).await?,
    ];
    for answer in &answers {
        assert_eq!(answer.status, 401);
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        assert_eq!(answer.body, answers[0].body, "a forger learns nothing");
    }
    assert!(stack.broker_proxy.seen().is_empty(), "nothing reached the broker");
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_secret_can_be_rotated() -> Story {
    let mut config = config()?;
    let old = config.source("stripe")?;
    let secrets = &mut config.table()["sources"]["stripe"]["secrets"];
    *secrets = vec!["NEW_SECRET", "STRIPE_WEBHOOK_SECRET"].into();
    let stack = builder(config)?.start().await?;
    let with_old = dispute()?.signed(&old, Timestamp::now())?;
    assert_eq!(stack.post_webhook(&with_old).await?.status, 202);
    assert_eq!(stack.deliver(&dispute()?).await?.status, 202, "signed with the new one");
    crate::setup::settle(&stack).await?;
    assert_eq!(stack.third_party.ledger().applied().len(), 1);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn an_unknown_source_is_not_found() -> Story {
    let stack = stack().await?;
    let webhook = Webhook { source: "nobody".into(), ..dispute()? };
    assert_eq!(stack.post_webhook(&webhook).await?.status, 404);
    assert_eq!(stack.get("/nowhere").await?.status, 404);
    let answer = stack.get("/webhooks/stripe").await?;
    assert_eq!((answer.status, &answer.headers["allow"]), (405, &"POST".parse()?));
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn an_event_that_no_step_wants_is_acknowledged() -> Story {
    let stack = stack().await?;
    let push = stack.deliver(&Webhook::sample("github.push")?).await?;
    assert_eq!((push.status, push.json()["effects"].as_array().map(Vec::len)), (200, Some(0)));
    let free = dispute()?.edited(|event| event["data"]["object"]["amount"] = 0.into());
    assert_eq!(stack.deliver(&free).await?.status, 200, "its condition does not hold");
    assert!(stack.ingest.log().tail(20).contains("no step wants"));
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_genuine_event_that_lacks_what_a_step_needs_is_told_which_field() -> Story {
    let stack = stack().await?;
    let lacking = dispute()?.edited(|event| event["data"]["object"]["charge"] = serde_json::Value::Null);
    assert_eq!(stack.deliver(&lacking).await?.status, 202, "null is a value where JSON is wanted");
    let lacking =
        dispute()?.edited(|event| drop(event["data"]["object"].as_object_mut().unwrap().remove("charge")));
    let answer = stack.deliver(&lacking).await?;
    assert_eq!(answer.status, 422);
    let detail = answer.json()["detail"].clone();
    assert_eq!(detail, "steps.open_ticket.input.charge: event.data.object.charge is missing");
    crate::setup::settle(&stack).await?;
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_body_over_the_sources_limit_is_too_large() -> Story {
    let stack = stack().await?;
    let large = dispute()?.edited(|event| event["padding"] = "x".repeat(1024 * 1024).into());
    let answer = stack.deliver(&large).await?;
    assert_eq!(answer.status, 413);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_body_that_is_no_text_is_verified_to_the_byte() -> Story {
    let stack = stack().await?;
    let mut webhook = Webhook::new("billing", &serde_json::Value::Null);
    webhook.body = vec![0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d].into();
    let answer = stack.deliver(&webhook.with("webhook-id", "msg_bytes")).await?;
    assert_eq!(answer.status, 200, "genuine, and no step wants it: {}", answer.json());
    Ok(stack.finish().await?)
}
