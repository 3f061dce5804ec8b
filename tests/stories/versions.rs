//! Different versions at the same time: what earlier ones have written is executed, and what newer ones will write is kept for them.

use anyhow::{Context, Result};
use jiff::Timestamp;
use local::{command, stack::Stack, third_party::Behaviour};
use serde_json::{Value, json};

use crate::{
    broker_trouble::produce,
    setup::{Story, TICKETS, builder, config, deliver, dispute, dispute_about, produces, settle, stack},
};

/// A command as commit 330b62f wrote it, without source, trace or signature.
fn oldest(about: &str) -> Value {
    let input = json!({ "amount": 2599, "charge": "ch_1", "dispute": about, "reason": "fraudulent" });
    let input_hash = hash(&input);
    json!({
        "run_id": format!("stripe.evt_{about}"), "step": "open_ticket", "business_key": about,
        "payload": { "input": input }, "input_hash": input_hash, "attempt": 0, "of": 1,
        "received_at": Timestamp::now().to_string(),
    })
}

fn hash(input: &Value) -> String {
    use sha2::{Digest, Sha256};
    hex::encode(Sha256::digest(input.to_string()))
}

/// A record in this state, as it was written before there was a history, a budget of time, and the index `recent`.
fn record(about: &str, status: &str, more: Value) -> Value {
    let now = Timestamp::now().as_millisecond();
    let mut record = json!({
        "run_id": format!("stripe.evt_{about}"), "effect_id": format!("stripe.evt_{about}:open_ticket:{about}"),
        "status": status, "step": "open_ticket", "business_key": about, "input_hash": oldest(about)["input_hash"],
        "created_at": now - 60_000, "updated_at": now - 60_000,
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        record[name] = value.clone();
    }
    record
}

/// Such a record on the agenda, due now.
fn due(about: &str, attempt: u32) -> Value {
    let mut command = oldest(about);
    command["attempt"] = attempt.into();
    let now = Timestamp::now().as_millisecond();
    json!({ "command": command.to_string(), "lane": "open_ticket", "due_at": now, "attempt": attempt })
}

async fn put(stack: &Stack, record: &Value) -> Result<()> {
    stack.table()?.put(record).await
}

async fn effect(stack: &Stack, about: &str) -> Result<local::stack::Effect> {
    stack.effect(&format!("stripe.evt_{about}:open_ticket:{about}")).await
}

#[tokio::test]
async fn commands_of_the_first_version_are_carried_out_while_it_is_replaced() -> Story {
    let stack = builder(config()?)?.env("COMMAND_SIGNATURES", "optional").start().await?;
    deliver(&stack, &dispute()?).await?;
    let mut message: Value = serde_json::from_slice(&stack.broker_proxy.seen_where(produces)[0].body)?;
    message["value"] = oldest("dp_first").to_string().into();
    produce(&stack, &message).await?;
    settle(&stack).await?;
    assert!(effect(&stack, "dp_first").await?.is_done());
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn records_of_earlier_versions_are_worked_and_told() -> Story {
    let stack = stack().await?;
    let over = Timestamp::now().as_millisecond() - 1_000;
    put(&stack, &record("dp_pending", "pending", due("dp_pending", 0))).await?;
    put(&stack, &record("dp_waiting", "waiting", due("dp_waiting", 3))).await?;
    let mut died = due("dp_died", 1);
    died["attempt_id"] = "0190a3f0-0000-7000-8000-000000000000".into();
    died["lease_until"] = over.into();
    died["first_attempt_at"] = over.into();
    put(&stack, &record("dp_died", "in_progress", died)).await?;
    let mut parked = due("dp_parked", 8);
    parked["lane"] = "parked".into();
    parked["last_error"] = "answered 503".into();
    put(&stack, &record("dp_parked", "parked", parked)).await?;
    let receipt = json!({ "status": 201, "digest": "d", "fields": {} }).to_string();
    put(&stack, &record("dp_done", "done", json!({ "attempt": 1, "receipt": receipt }))).await?;

    deliver(&stack, &dispute_about("dp_done")?).await?;
    settle(&stack).await?;
    for about in ["dp_pending", "dp_waiting", "dp_died"] {
        assert!(effect(&stack, about).await?.is_done(), "{about}");
    }
    assert_eq!(stack.third_party.ledger().attempts_on(TICKETS).len(), 3, "what was done is not called again");
    let listed = stack.get("/parked").await?.json();
    assert_eq!(listed["parked"][0]["business_key"], "dp_parked", "{listed}");
    Ok(stack.finish().await?)
}

/// A message of a newer ingest for a newer consumer, received by this one first.
async fn newer(stack: &Stack, change: impl Fn(&mut Value)) -> Result<()> {
    deliver(stack, &dispute()?).await?;
    let message: Value = serde_json::from_slice(&stack.broker_proxy.seen_where(produces)[0].body)?;
    let mut command = command::of(&message)?;
    command["run_id"] = "stripe.evt_newer".into();
    change(&mut command);
    produce(stack, &command::with(&message, &command)).await
}

fn is_newer(effect: &local::stack::Effect) -> bool {
    effect.effect_id.starts_with("stripe.evt_newer:")
}

#[tokio::test]
async fn a_field_of_a_newer_version_outlives_a_deferral() -> Story {
    let stack = stack().await?;
    stack.third_party.script(TICKETS, [Behaviour::refuse(429), Behaviour::refuse(429)]);
    newer(&stack, |command| command["colour"] = json!({ "of": "the sky" })).await?;
    settle(&stack).await?;
    let deferrals = stack.table_proxy()?.seen_where(|seen| {
        let command = &seen.json()["ExpressionAttributeValues"][":command"]["S"];
        command.as_str().is_some_and(|json| json.contains(r#""colour":{"of":"the sky"}"#))
    });
    assert!(!deferrals.is_empty(), "a deferred command has lost it");
    assert!(deferrals.iter().all(|seen| !seen.mentions(r#"\"mac\""#)), "the signature is the message's");
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn what_needs_a_newer_version_is_left_to_it() -> Story {
    let stack = stack().await?;
    newer(&stack, |command| command["needs"] = json!(["tomorrow"])).await?;
    for _ in 0..2 {
        stack.run_consumer().await?;
    }
    assert_eq!(stack.third_party.ledger().attempts_on(TICKETS).len(), 1, "of the other one");
    let left = stack.effects().await?.into_iter().find(is_newer).context("no effect")?;
    assert_eq!((left.record["status"].as_str(), left.attempt), (Some("pending"), 0));
    assert_eq!(stack.unacked().await?, 0, "and it holds up no partition");
    // It stays with the newer version.
    stack.abandon();
    Ok(())
}

#[tokio::test]
async fn what_needs_a_newer_version_is_parked_after_a_while() -> Story {
    let stack = stack().await?;
    let received = Timestamp::now() - jiff::SignedDuration::from_hours(2);
    newer(&stack, |command| {
        command["needs"] = json!(["tomorrow"]);
        command["received_at"] = received.to_string().into();
    })
    .await?;
    settle(&stack).await?;
    let parked = stack.effects().await?.into_iter().find(is_newer).context("no effect")?;
    assert!(parked.is_parked() && parked.last_error().contains("it needs tomorrow"), "{parked:?}");
    Ok(stack.finish().await?)
}

/// A record with a state and an attribute that are unknown to this version.
#[tokio::test]
async fn a_record_of_a_newer_version_is_not_touched_and_harms_no_other() -> Story {
    let stack = stack().await?;
    put(&stack, &record("dp_state", "dreaming", due("dp_state", 0))).await?;
    let mut coloured = due("dp_coloured", 0);
    coloured["colour"] = "blue".into();
    put(&stack, &record("dp_coloured", "pending", coloured)).await?;
    deliver(&stack, &dispute()?).await?;
    for _ in 0..2 {
        stack.run_consumer().await?;
    }
    let items = stack.table()?.scan().await?;
    let item = |about: &str| items.iter().find(|item| item["business_key"] == about).cloned();
    let (state, coloured) = (item("dp_state").context("gone")?, item("dp_coloured").context("gone")?);
    assert_eq!((&state["status"], &state["attempt"]), (&"dreaming".into(), &0.into()));
    assert_eq!((&coloured["status"], &coloured["colour"]), (&"done".into(), &"blue".into()));
    assert_eq!(stack.third_party.ledger().attempts_on(TICKETS).len(), 2, "the other two");
    // The newer record stays as it is.
    stack.abandon();
    Ok(())
}
