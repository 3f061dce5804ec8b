//! Signed commands: access to the broker is not enough to have commands executed.

use anyhow::{Context, Result};
use local::{command, secrets_manager::SecretsManager, stack::Stack};
use serde_json::Value;

use crate::{
    broker_trouble::produce,
    printed::Printed,
    setup::{Story, builder, config, deliver, dispute, produces, settle, stack},
};

const OTHER_KEY: &str = "another-key-of-at-least-16-bytes";

/// The first produce request of ingest.
fn produced(stack: &Stack) -> Result<Value> {
    Ok(serde_json::from_slice(&stack.broker_proxy.seen_where(produces)[0].body)?)
}

/// The produce request of a command for another dispute, forged by someone with access to the broker.
fn written_by_hand(genuine: &Value, about: &str) -> Result<Value> {
    let mut command = command::of(&serde_json::from_str(&genuine.to_string().replace("du_", about))?)?;
    command["run_id"] = format!("stripe.evt_{about}").into();
    let mut message = genuine.clone();
    message["value"] = command.to_string().into();
    Ok(message)
}

#[tokio::test]
async fn an_unsigned_command_is_parked_and_not_called() -> Story {
    let stack = stack().await?;
    deliver(&stack, &dispute()?).await?;
    let genuine = produced(&stack)?;
    let text = genuine["value"].as_str().context("a message")?;
    let mut forged = Vec::new();
    forged.push(written_by_hand(&genuine, "dq_unsigned")?);
    // An authentic message, with another amount.
    let mut richer = genuine.clone();
    richer["value"] = text.replace("2599", "9999").into();
    forged.push(richer);
    // Duplicate fields, after the signed ones and after the signature.
    let (signed, mac) = text.rsplit_once(",\"mac\"").context("signed")?;
    for twice in [
        format!("{signed},\"run_id\":\"stripe.evt_twice\",\"mac\"{mac}"),
        format!("{},\"run_id\":\"stripe.evt_behind\"}}", text.trim_end_matches('}')),
    ] {
        let mut message = genuine.clone();
        message["value"] = twice.into();
        forged.push(message);
    }
    for message in &forged {
        assert_ne!(message["value"], genuine["value"]);
        produce(&stack, message).await?;
    }
    let settling = settle(&stack).await?;
    assert_eq!((settling.total(|run| run.done), settling.total(|run| run.parked)), (1, 4));
    assert_eq!(stack.third_party.ledger().attempts().len(), 1, "the genuine one");
    Printed::by_consumer(&stack, settling.runs.len()).await?.assert(&[("Parked{Step=?}", 4.0)]);
    let parked = stack.get("/parked").await?.json();
    let whys =
        parked["parked"].as_array().context("a list")?.iter().map(|record| record["last_error"].as_str());
    assert!(
        whys.flatten().all(|why| why.contains("not signed") || why.contains("not made with COMMAND_KEY")),
        "{parked}"
    );
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_key_that_was_rotated_is_found_by_the_message_that_first_needs_it() -> Story {
    let config = config()?;
    let mut values = config.secrets();
    let manager = SecretsManager::start(&values).await?;
    let stack = builder(config)?.secrets_manager(&manager).start().await?;
    values.insert(command::KEY.0.to_owned(), format!("{OTHER_KEY},{}", command::KEY.1));
    manager.put_all(&values);
    // A new process signs with the new key; the consumer's process has only the old one.
    stack.ingest.killer().kill().await;
    deliver(&stack, &dispute()?).await?;
    assert_eq!(settle(&stack).await?.total(|run| run.done), 1);
    Ok(stack.finish().await?)
}

/// As during a deployment that replaces an earlier version, which does not sign.
#[tokio::test]
async fn unsigned_commands_are_taken_where_that_is_said_and_forged_ones_are_not() -> Story {
    let stack = builder(config()?)?.env("COMMAND_SIGNATURES", "optional").start().await?;
    deliver(&stack, &dispute()?).await?;
    let genuine = produced(&stack)?;
    produce(&stack, &written_by_hand(&genuine, "du_")?).await?;
    let mut forged = genuine.clone();
    forged["value"] = genuine["value"].as_str().context("a message")?.replace("2599", "9999").into();
    produce(&stack, &forged).await?;
    let settling = settle(&stack).await?;
    assert_eq!((settling.total(|run| run.done), settling.total(|run| run.parked)), (2, 1));
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn an_input_that_is_not_the_one_of_its_digest_is_not_acted_on() -> Story {
    let stack = builder(config()?)?.env("COMMAND_KEY", "").start().await?;
    deliver(&stack, &dispute()?).await?;
    let genuine = produced(&stack)?;
    assert!(
        command::of(&genuine)?
            == serde_json::from_str::<Value>(genuine["value"].as_str().unwrap_or_default())?
    );
    let mut command = command::of(&genuine)?;
    command["run_id"] = "stripe.evt_other".into();
    command["payload"]["input"]["amount"] = 9999.into();
    let mut message = genuine.clone();
    message["value"] = command.to_string().into();
    produce(&stack, &message).await?;
    let settling = settle(&stack).await?;
    assert_eq!((settling.total(|run| run.done), settling.total(|run| run.parked)), (1, 1));
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn without_a_key_no_function_starts_where_the_broker_is_elsewhere() -> Result<()> {
    for (key, why) in [("", "COMMAND_KEY: missing"), ("hunter2", "COMMAND_KEY: a key of under 16 bytes")] {
        let elsewhere = builder(config()?)?.env("DRIFTQ_HTTP_URL", "http://broker.internal:8080");
        let error = elsewhere.env("COMMAND_KEY", key).start().await.err().context("it started")?;
        let error = format!("{error:#}");
        assert!(error.contains(why), "{error}");
    }
    // The configuration for local use starts without a key, and the upgrade path is reported.
    builder(config()?)?.env("COMMAND_KEY", "").start().await?.finish().await?;
    let upgrade = builder(config()?)?.env("COMMAND_KEY", "").env("COMMAND_SIGNATURES", "optional");
    upgrade.env("DRIFTQ_HTTP_URL", "http://broker.internal:8080").start().await.map(Stack::abandon)
}
