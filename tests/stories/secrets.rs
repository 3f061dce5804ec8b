//! Secrets in Secrets Manager: read at start, read again after a rotation, and never disclosed.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result};
use jiff::Timestamp;
use local::{
    config::Config,
    http::Answer,
    proxy::Fault,
    secrets_manager::{ARN, SecretsManager, failure},
    stack::Stack,
    webhook::Webhook,
};
use tokio::time::timeout;

use crate::setup::{Story, TICKETS, accepted, builder, config, dispute, dispute_about, issue, settle};

const STRIPE: &str = "STRIPE_WEBHOOK_SECRET";
/// The shortest timeout of all providers.
const HANGS_UP: Duration = Duration::from_secs(3);

/// A stack whose secrets are in a Secrets Manager, both functions started.
async fn stack_with_secrets() -> Result<(Stack, SecretsManager, BTreeMap<String, String>)> {
    let config = config()?;
    let values = config.secrets();
    let manager = SecretsManager::start(&values).await?;
    let stack = builder(config)?.secrets_manager(&manager).start().await?;
    assert_eq!(manager.fetches(), 2, "once at each function's start");
    manager.proxy.forget();
    Ok((stack, manager, values))
}

/// Signed by Stripe with that secret.
fn signed_with(webhook: &Webhook, secret: &str) -> Result<Webhook> {
    let source = local::sign::Source { secret: secret.to_owned(), ..config()?.source("stripe")? };
    webhook.clone().signed(&source, Timestamp::now())
}

/// Why a function did not start.
async fn why_not(config: Config, manager: &SecretsManager) -> Result<String> {
    let stack = builder(config)?.secrets_manager(manager).start().await;
    Ok(format!("{:#}", stack.err().context("it started")?))
}

#[tokio::test]
async fn both_functions_find_their_secrets_there() -> Story {
    let (stack, manager, _) = stack_with_secrets().await?;
    accepted(&stack.deliver(&dispute()?).await?)?;
    settle(&stack).await?;
    let ledger = stack.third_party.ledger();
    assert_eq!(ledger.applied_on(TICKETS)[0].headers["authorization"], "Bearer local-tickets-token");
    assert_eq!(manager.fetches(), 0, "none but at start");
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_rotated_secret_is_accepted_in_the_request_that_first_uses_it() -> Story {
    let (stack, manager, mut values) = stack_with_secrets().await?;
    values.insert(STRIPE.to_owned(), "whsec_rotated".to_owned());
    manager.put_all(&values);
    let before = signed_with(&dispute_about("before")?, "whsec_local_stripe")?;
    accepted(&stack.post_webhook(&before).await?)?;
    assert_eq!(manager.fetches(), 0, "as long as it serves, it is not asked for another");
    accepted(&stack.post_webhook(&signed_with(&dispute_about("first")?, "whsec_rotated")?).await?)?;
    accepted(&stack.post_webhook(&signed_with(&dispute_about("second")?, "whsec_rotated")?).await?)?;
    assert_eq!(manager.fetches(), 1);
    let old = signed_with(&dispute_about("after")?, "whsec_local_stripe")?;
    assert_eq!(stack.post_webhook(&old).await?.status, 401, "the old one is no longer in the secret store");
    assert_eq!(stack.ingest.starts().len(), 1, "no process was started for it");
    settle(&stack).await?;
    assert_eq!(stack.third_party.ledger().applied_on(TICKETS).len(), 3);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn the_old_secret_serves_for_as_long_as_it_is_named() -> Story {
    let mut config = config()?;
    config.table()["sources"]["stripe"]["secrets"] = vec!["STRIPE_NEW", STRIPE].into();
    let mut values = config.secrets();
    let manager = SecretsManager::start(&values).await?;
    let stack = builder(config)?.secrets_manager(&manager).start().await?;
    values.insert("STRIPE_NEW".to_owned(), "whsec_rotated".to_owned());
    manager.put_all(&values);
    for (id, secret) in [("a", "whsec_local_stripe"), ("b", "whsec_rotated"), ("c", "whsec_local_stripe")] {
        accepted(&stack.post_webhook(&signed_with(&dispute_about(id)?, secret)?).await?)?;
    }
    settle(&stack).await?;
    assert_eq!(stack.third_party.ledger().applied_on(TICKETS).len(), 3);
    Ok(stack.finish().await?)
}

/// A secret that is not a key of its scheme: its source responds 503, and the others work.
#[tokio::test]
async fn an_unusable_secret_disables_its_source_and_no_other() -> Story {
    let config = config()?;
    let mut values = config.secrets();
    values.insert("STANDARD_WEBHOOK_SECRET".to_owned(), "whsec_!".to_owned());
    let manager = SecretsManager::start(&values).await?;
    let stack = builder(config)?.secrets_manager(&manager).start().await?;
    accepted(&stack.deliver(&dispute()?).await?)?;
    let invoice = Webhook::sample("billing.invoice.issued")?;
    let refused = stack.deliver(&invoice).await?;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("5")));
    let log = stack.ingest.log().tail(50);
    assert!(log.contains("secret STANDARD_WEBHOOK_SECRET is not base64 after its whsec_"), "{log}");
    assert!(log.contains("\"outcome\":\"disabled\"") && log.contains("\"Disabled\":1"), "{log}");
    assert!(!log.contains("whsec_!"), "{log}");
    settle(&stack).await?;
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_storm_of_forged_webhooks_asks_once_and_is_told_nothing() -> Story {
    let (stack, manager, _) = stack_with_secrets().await?;
    let forged = signed_with(&dispute()?, "whsec_guessed")?;
    let unsigned = stack.post_webhook(&dispute()?).await?;
    assert_eq!(manager.fetches(), 0, "what no secret could have signed asks for none");
    let mut answers = Vec::new();
    for _ in 0..50 {
        answers.push(stack.post_webhook(&forged).await?);
    }
    assert_eq!(manager.fetches(), 1);
    assert_eq!(stack.ingest.starts().len(), 1, "all of them met the same process");
    for answer in &answers {
        assert_eq!((answer.status, &answer.body), (401, &unsigned.body));
    }
    assert!(stack.broker_proxy.seen().is_empty(), "nothing reached the broker");
    accepted(&stack.deliver(&dispute()?).await?)?;
    settle(&stack).await?;
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_failing_secret_store_neither_admits_forgeries_nor_stops_webhooks() -> Story {
    let troubles = [
        Fault::Answer(failure("ThrottlingException", "Rate exceeded")),
        Fault::Answer(failure("AccessDeniedException", "no identity-based policy allows it")),
        Fault::Answer(Answer::html(503)),
        Fault::CutBefore,
        Fault::HangBefore,
    ];
    for trouble in troubles {
        let (stack, manager, mut values) = stack_with_secrets().await?;
        values.insert(STRIPE.to_owned(), "whsec_rotated".to_owned());
        manager.put_all(&values);
        manager.proxy.always(|_| true, trouble.clone());
        let rotated = signed_with(&dispute()?, "whsec_rotated")?;
        let refused = timeout(HANGS_UP, stack.post_webhook(&rotated)).await??;
        assert_eq!(refused.status, 401, "{trouble:?}");
        let asked = manager.fetches();
        assert!((1..=4).contains(&asked), "{trouble:?}: once, with the SDK's retries, and not {asked} times");
        let again = stack.post_webhook(&rotated).await?;
        assert_eq!((again.status, &again.body), (401, &refused.body), "{trouble:?}");
        assert_eq!(manager.fetches(), asked, "{trouble:?}: not again within the minute");
        accepted(&stack.deliver(&issue()?).await?)?;
        let log = stack.ingest.log().tail(20);
        assert!(log.contains("secrets could not be read again"), "{trouble:?}: {log}");
        assert!(!log.contains("whsec_"), "{log}");
        settle(&stack).await?;
        stack.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn secrets_that_are_missing_are_named_at_start_all_of_them() -> Story {
    let config = config()?;
    let mut values = config.secrets();
    let manager = SecretsManager::start(&values).await?;
    values.remove(STRIPE);
    values.insert("GITHUB_WEBHOOK_SECRET".to_owned(), " ".to_owned());
    manager.put_all(&values);
    // An environment variable of that name is not used instead.
    let stack = builder(config.clone())?.secrets_manager(&manager).env(STRIPE, "whsec_left_behind").start();
    let why = format!("{:#}", stack.await.err().context("it started")?);
    for expected in ["ingest did not start", ARN, "2 problems", STRIPE, "GITHUB_WEBHOOK_SECRET"] {
        assert!(why.contains(expected), "no {expected} in {why}");
    }
    assert!(!why.contains("whsec_"), "{why}");

    let mut values = config.secrets();
    values.remove("TICKETS_TOKEN");
    manager.put_all(&values);
    let why = why_not(config, &manager).await?;
    assert!(why.contains("consumer did not start") && why.contains("TICKETS_TOKEN"), "{why}");
    assert!(!why.contains("local-"), "{why}");
    Ok(())
}

#[tokio::test]
async fn a_secret_store_that_can_not_be_read_at_start_says_so() -> Story {
    let config = config()?;
    let manager = SecretsManager::start(&config.secrets()).await?;
    let denied = failure("AccessDeniedException", "no identity-based policy allows it");
    manager.proxy.always(|_| true, Fault::Answer(denied));
    let why = why_not(config.clone(), &manager).await?;
    assert!(why.contains(ARN) && why.contains("AccessDeniedException"), "{why}");
    manager.proxy.heal();
    manager.put("hunter2");
    let why = why_not(config, &manager).await?;
    assert!(why.contains("not a JSON object") && !why.contains("hunter2"), "{why}");
    Ok(())
}

#[tokio::test]
async fn a_busy_secret_store_is_asked_again_at_start() -> Story {
    let config = config()?;
    let manager = SecretsManager::start(&config.secrets()).await?;
    let busy = failure("ThrottlingException", "Rate exceeded");
    let hits = manager.proxy.times(2, |_| true, Fault::Answer(busy));
    let stack = builder(config)?.secrets_manager(&manager).start().await?;
    assert_eq!((hits.count(), manager.fetches()), (2, 4));
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_token_that_was_rotated_is_used_by_the_next_process() -> Story {
    let (stack, manager, mut values) = stack_with_secrets().await?;
    values.insert("TICKETS_TOKEN".to_owned(), "rotated-token".to_owned());
    manager.put_all(&values);
    stack.consumer.recycle();
    accepted(&stack.deliver(&dispute()?).await?)?;
    settle(&stack).await?;
    let ledger = stack.third_party.ledger();
    assert_eq!(ledger.applied_on(TICKETS)[0].headers["authorization"], "Bearer rotated-token");
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn the_most_verbose_log_contains_no_secret() -> Story {
    let config = config()?;
    let values = config.secrets();
    let manager = SecretsManager::start(&values).await?;
    let stack =
        builder(config)?.secrets_manager(&manager).env("AWS_LAMBDA_LOG_LEVEL", "TRACE").start().await?;
    accepted(&stack.deliver(&dispute()?).await?)?;
    stack.post_webhook(&signed_with(&dispute()?, "whsec_guessed")?).await?;
    stack.run_until_settled(Duration::from_secs(60)).await?;
    let log = stack.ingest.log().tail(usize::MAX) + &stack.consumer.log().tail(usize::MAX);
    for (name, value) in &values {
        assert!(!log.contains(value), "{name} is in the log");
    }
    // Requests, responses, items and credentials, as our dependencies would log them.
    for told in
        ["fraudulent", "ch_", "amount", "Bearer", "GetSecretValue", "Signature=", "hyper", "aws_smithy"]
    {
        assert!(!log.contains(told), "{told} is in the log");
    }
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_verify_token_that_was_rotated_is_found_by_the_challenge_itself() -> Story {
    let config = Config::read(&local::functions::workspace().join("tests/providers.toml"))?;
    let mut values = config.secrets();
    let manager = SecretsManager::start(&values).await?;
    let stack = builder(config)?.secrets_manager(&manager).start().await?;
    values.insert("META_VERIFY_TOKEN".to_owned(), "rotated".to_owned());
    manager.put_all(&values);
    manager.proxy.forget();
    let path = "/webhooks/meta?hub.mode=subscribe&hub.challenge=42&hub.verify_token=rotated";
    let answer = stack.get(path).await?;
    assert_eq!((answer.status, &answer.body[..]), (200, &b"42"[..]));
    assert_eq!(stack.get(&path.replace("rotated", "guessed")).await?.status, 403);
    assert_eq!(manager.fetches(), 1);
    Ok(stack.finish().await?)
}
