//! A record is at most 400 KB, whatever third parties respond, senders send and operators write; and it expires when nothing is left to decide.

use anyhow::{Context, Result};
use driftq_webhooks::effects::{How, guard::Deferral};
use local::{
    http::Answer,
    stack::{Effect, Stack},
    third_party::Behaviour,
};
use serde_json::{Value, json};
use toml::toml;

use crate::{
    decisions::decide,
    guard::{Case, Table, later, now, win},
    setup::{Story, TICKETS, deliver, dispute, issue, only_effect, settle, stack, stack_with, table},
};

pub(crate) const MODEL: &str = "/v1/chat/completions";

#[tokio::test]
async fn an_answer_that_is_too_large_to_keep_is_cut_and_the_effect_is_done() -> Story {
    let receipt = toml! {
        ticket = "{{ response.json.id }}"
        all = "{{ response.json }}"
        once_more = "{{ response.json }}"
    };
    let edit = |step: &mut toml::Table| drop(table(step, "call").insert("receipt".into(), receipt.into()));
    let stack = stack_with(|config| edit(config.step("open_ticket"))).await?;
    let answer = Answer::of_json(200, &json!({ "id": "tp_1", "text": "x".repeat(250_000) }));
    stack.third_party.script(TICKETS, [Behaviour::answer(answer).after_applying()]);
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    let effect = only_effect(&stack).await?;
    assert_eq!((effect.is_done(), effect.attempt), (true, 1));
    let receipt: Value = serde_json::from_str(effect.record["receipt"].as_str().context("no receipt")?)?;
    assert_eq!(receipt["fields"], json!({ "ticket": "tp_1" }));
    assert_eq!(receipt["cut"], json!(["all", "once_more"]));
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_history_keeps_the_first_and_the_newest_ends() -> Story {
    let (table, case) = (Table::start().await?, Case::new(json!(1)));
    for attempt in 0..60 {
        let lease = win(&table, &case.retry(attempt), now()).await?;
        let why = format!("answered 429, the {attempt}th");
        let deferral = Deferral { command: &case.command, due: now(), why: &why, in_doubt: false };
        assert_eq!(table.guard.defer(lease, deferral, now()).await?.how(), How::Deferred);
    }
    let record = table.listing.run("stripe.evt_1").await?.pop().context("a record")?;
    let attempts: Vec<_> = record.history.entries.iter().map(|ended| ended.attempt).collect();
    assert_eq!((attempts.len(), record.history.dropped), (50, 10));
    assert_eq!((&attempts[..6], attempts[49]), (&[1, 2, 3, 4, 5, 16][..], 60));
    let shown = serde_json::to_value(&record)?;
    assert_eq!(
        (shown["history"].as_array().map(Vec::len), &shown["history_dropped"]),
        (Some(50), &json!(10))
    );
    Ok(())
}

#[tokio::test]
async fn a_reason_of_any_length_can_be_kept() -> Story {
    let (table, case) = (Table::start().await?, Case::new(json!(1)));
    let lease = win(&table, &case, now()).await?.doubted();
    let why = "ü".repeat(500_000);
    assert_eq!(table.guard.park(lease, &case.command, &why, later(1)).await?.how(), How::Parked);
    let record = table.listing.run("stripe.evt_1").await?.pop().context("a record")?;
    let ended = record.history.entries.into_iter().next();
    for text in [record.last_error, record.doubt, ended.map(|ended| ended.what)] {
        let text = text.context("a text")?;
        assert!(text.starts_with("üü") && text.ends_with("ü…") && text.len() <= 1024, "{} bytes", text.len());
    }
    Ok(())
}

#[tokio::test]
async fn a_message_of_any_length_can_be_parked() -> Story {
    let table = Table::start().await?;
    let (key, value) = ("k".repeat(5_000), "ü".repeat(500_000));
    assert_eq!(table.guard.park_malformed(&key, &value, "no JSON", now()).await?.how(), How::Parked);
    let record = table.listing.run(":malformed").await?.pop().context("a record")?;
    assert_eq!(record.last_error.as_deref(), Some("934464 bytes of it are cut; no JSON"));
    assert_eq!(record.command.map(|kept| kept.len()), Some(64 * 1024));
    assert!(record.business_key.len() <= 1024);
    Ok(())
}

/// Large input, and a language model that refuses it for good.
async fn large_and_parked() -> Result<(Stack, Effect)> {
    let stack = stack().await?;
    stack.third_party.script(MODEL, [Behaviour::refuse(422)]);
    deliver(&stack, &large()?).await?;
    settle(&stack).await?;
    let effects = stack.effects().await?;
    let parked = effects.into_iter().find(|effect| effect.step == "triage_issue").context("no effect")?;
    assert!(parked.is_parked(), "{parked:?}");
    Ok((stack, parked))
}

fn large() -> Result<local::webhook::Webhook> {
    Ok(issue()?.edited(|event| event["issue"]["body"] = "A long story. ".repeat(30_000).into()))
}

/// When each chunk of large input expires, in seconds since 1970.
async fn chunks(stack: &Stack) -> Result<Vec<Option<i64>>> {
    let items = stack.table()?.scan().await?.into_iter();
    let chunks =
        items.filter(|item| item["run_id"].as_str().is_some_and(|id| id.starts_with(":claimcheck:")));
    Ok(chunks.map(|chunk| chunk["expires_at"].as_i64()).collect())
}

#[tokio::test]
async fn what_is_parked_stays_and_goes_with_its_input_once_it_is_decided() -> Story {
    for decision in ["discard", "applied"] {
        let (stack, parked) = large_and_parked().await?;
        assert_eq!((&parked.record["expires_at"], chunks(&stack).await?), (&Value::Null, vec![None]));
        assert_eq!(decide(&stack, &parked, decision).await?.status, 200);
        let expires = stack.effect(&parked.effect_id).await?.record["expires_at"].as_i64();
        let expires = expires.context("it stays for ever")?;
        assert!(expires > jiff::Timestamp::now().as_second() + 89 * 24 * 3600, "{expires}");
        assert_eq!(chunks(&stack).await?, [Some(expires)], "{decision}");
        stack.finish().await?;
    }
    Ok(())
}

/// Ingest stores large input before it finds out that the effect is decided and needs no input.
#[tokio::test]
async fn a_redelivery_of_what_is_decided_leaves_no_input_behind() -> Story {
    let (stack, parked) = large_and_parked().await?;
    assert_eq!(decide(&stack, &parked, "discard").await?.status, 200);
    stack.broker_proxy.close().await;
    deliver(&stack, &large()?).await?;
    stack.broker_proxy.open().await?;
    assert!(matches!(chunks(&stack).await?[..], [Some(_)]), "left by ingest");
    deliver(&stack, &large()?).await?;
    settle(&stack).await?;
    assert_eq!(chunks(&stack).await?, [], "left by the consumer");
    assert_eq!(stack.third_party.ledger().attempts_on(MODEL).len(), 1);
    Ok(stack.finish().await?)
}
