//! SNS: signing certificates and subscriptions, the only things that ingest requests from a provider.

use std::time::{Duration, Instant};

use anyhow::Result;
use local::{
    config::Config, functions::workspace, http::Answer, proxy::Fault, stack::Stack, webhook::Webhook,
};
use serde_json::{Value, json};

use crate::setup::{Story, accepted, builder, settle};

/// A stack with one ingest process, so that there is one certificate cache.
async fn stack() -> Result<Stack> {
    builder(Config::read(&workspace().join("tests/providers.toml"))?)?.ingests(1).start().await
}

fn order(number: u32) -> Result<Webhook> {
    Ok(Webhook::sample("sns.notification")?.edited(|body| {
        body["MessageId"] = json!(format!("m-{number}"));
        body["Message"] = json!(json!({ "order": { "id": format!("o-{number}") } }).to_string());
    }))
}

/// A message with a field changed after SNS signed it.
async fn forged(stack: &Stack, change: impl FnOnce(&mut Value)) -> Result<Answer> {
    let source = stack.config.source("sns")?;
    let signed = order(1)?.signed(&source, jiff::Timestamp::now())?;
    stack.post_webhook(&signed.edited(change)).await
}

#[tokio::test]
async fn a_certificate_is_fetched_once_for_all_messages() -> Story {
    let stack = stack().await?;
    for number in 1..=3 {
        accepted(&stack.deliver(&order(number)?).await?)?;
        accepted(&stack.deliver(&order(number)?).await?)?;
    }
    assert_eq!(stack.sns.proxy.seen().len(), 1);
    settle(&stack).await?;
    assert_eq!(stack.third_party.ledger().applied().len(), 3);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_subscription_is_confirmed_once_it_is_verified() -> Story {
    let stack = stack().await?;
    let subscription = Webhook::sample("sns.subscription")?;
    assert_eq!(stack.post_webhook(&subscription).await?.status, 401, "signed too long ago");
    assert!(stack.sns.proxy.seen_where(|seen| seen.query.contains("Confirm")).is_empty());
    assert_eq!(stack.deliver(&subscription).await?.status, 200);
    let confirmed = stack.sns.proxy.seen_where(|seen| seen.query.starts_with("Action=ConfirmSubscription&"));
    assert_eq!(confirmed.len(), 1);
    stack.sns.proxy.once(|seen| seen.query.contains("Confirm"), Fault::Answer(Answer::html(503)));
    assert_eq!(stack.deliver(&subscription).await?.status, 503, "SNS asks again");
    assert!(!stack.ingest.log().tail(200).contains("2336412f"), "the token opens the subscription");
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn nothing_is_asked_for_a_message_of_another_topic_or_place() -> Story {
    let stack = stack().await?;
    let elsewhere = "https://sns.us-east-1.amazonaws.com.example.com/SimpleNotificationService-0.pem";
    for (field, value) in [
        ("TopicArn", "arn:aws:sns:us-east-1:999999999999:orders"),
        ("SigningCertURL", elsewhere),
        ("SigningCertURL", "http://169.254.169.254/latest/meta-data/"),
    ] {
        let answer = forged(&stack, |body| body[field] = json!(value)).await?;
        assert_eq!(answer.status, 401, "{field} {value}");
    }
    assert_eq!(forged(&stack, |body| *body = json!({})).await?.status, 401);
    assert!(stack.sns.proxy.seen().is_empty());
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn forged_certificates_are_refused_and_asked_for_seldom() -> Story {
    let stack = stack().await?;
    accepted(&stack.deliver(&order(1)?).await?)?;
    let mut statuses = Vec::new();
    for number in 0..30 {
        let url = format!("https://sns.us-east-1.amazonaws.com/SimpleNotificationService-{number:04}.pem");
        statuses.push(forged(&stack, |body| body["SigningCertURL"] = json!(url)).await?.status);
    }
    assert_eq!(stack.sns.proxy.seen().len(), 10, "in the first minute");
    assert_eq!(statuses[..9], [401; 9], "there are no such certificates");
    assert_eq!(statuses[9..], [503; 21], "whether there are is not known");
    accepted(&stack.deliver(&order(2)?).await?)?;
    settle(&stack).await?;
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn without_its_certificate_a_message_is_neither_let_in_nor_lost() -> Story {
    let stack = stack().await?;
    let redirect = Answer::html(302).with("location", "http://169.254.169.254/");
    let long = Answer { body: vec![b'a'; 40_000].into(), ..Answer::html(200) };
    for (trouble, status) in [
        (Fault::Answer(Answer::html(500)), 503),
        (Fault::Answer(redirect), 503),
        (Fault::Answer(long), 503),
        (Fault::HangBefore, 503),
        (Fault::CutBefore, 503),
        (Fault::Answer(Answer::html(200)), 401),
        (Fault::Answer(Answer::html(404)), 401),
    ] {
        stack.sns.proxy.once(|_| true, trouble.clone());
        let began = Instant::now();
        assert_eq!(stack.deliver(&order(1)?).await?.status, status, "{trouble:?}");
        assert!(began.elapsed() < Duration::from_secs(3), "{trouble:?}");
    }
    let log = stack.ingest.log().tail(200);
    assert!(log.contains("\"outcome\":\"disabled\"") && log.contains("\"Disabled\":1"), "{log}");
    accepted(&stack.deliver(&order(1)?).await?)?;
    settle(&stack).await?;
    assert_eq!(stack.third_party.ledger().applied().len(), 1);
    Ok(stack.finish().await?)
}
