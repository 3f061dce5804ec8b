//! Broker failures. Once ingest has responded 2xx, nothing is lost.

use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use local::{command, http::Answer, proxy::Fault, stack::Effect};
use serde_json::json;

use crate::setup::{
    Story, accepted, consumes, deliver, dispute, dispute_about, only_effect, produces, settle, stack,
};

#[tokio::test]
async fn what_a_full_broker_does_not_take_is_done_from_the_table() -> Story {
    let stack = stack().await?;
    stack.broker_proxy.once(produces, Fault::Answer(Answer::partition_full()));
    deliver(&stack, &dispute()?).await?;
    assert_eq!(only_effect(&stack).await?.status, "pending");
    let settling = settle(&stack).await?;
    assert_eq!((settling.total(|run| run.from_agenda), settling.total(|run| run.done)), (1, 1));
    assert_eq!(stack.third_party.ledger().attempts().len(), 1);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_broker_that_is_down_at_ingest_loses_nothing() -> Story {
    let stack = stack().await?;
    stack.broker_proxy.close().await;
    accepted(&stack.deliver(&dispute()?).await?)?;
    stack.broker_proxy.open().await?;
    settle(&stack).await?;
    assert_eq!(stack.third_party.ledger().attempts().len(), 1);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_broker_that_hangs_is_given_a_second_and_the_provider_an_answer_within_three() -> Story {
    let stack = stack().await?;
    stack.broker_proxy.always(produces, Fault::HangBefore);
    let answer =
        tokio::time::timeout(std::time::Duration::from_secs(3), stack.deliver(&dispute()?)).await??;
    accepted(&answer)?;
    stack.broker_proxy.heal();
    settle(&stack).await?;
    assert_eq!(stack.third_party.ledger().attempts().len(), 1);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_broker_that_took_the_command_but_did_not_say_so_makes_a_harmless_duplicate() -> Story {
    let stack = stack().await?;
    stack.broker_proxy.always(produces, Fault::HangAfter);
    deliver(&stack, &dispute()?).await?;
    stack.broker_proxy.heal();
    let settling = settle(&stack).await?;
    assert_eq!(settling.total(|run| run.from_agenda), 1);
    assert_eq!(stack.third_party.ledger().attempts().len(), 1);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn if_neither_store_takes_it_the_provider_is_told_to_deliver_again() -> Story {
    let stack = stack().await?;
    stack.broker_proxy.close().await;
    stack.table_proxy()?.close().await;
    let answer = stack.deliver(&dispute()?).await?;
    assert_eq!(answer.status, 503);
    assert!(answer.headers.contains_key("retry-after"));
    stack.broker_proxy.open().await?;
    stack.table_proxy()?.open().await?;
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    assert_eq!(stack.third_party.ledger().attempts().len(), 1);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_message_that_is_no_command_is_parked_and_blocks_nothing() -> Story {
    let stack = stack().await?;
    deliver(&stack, &dispute_about("dp_1")?).await?;
    let key = dispute_about("dp_1")?.json()["data"]["object"]["id"].clone();
    for value in ["not json", "{}", "[1,2,3]", r#"{"run_id":"a:b","step":"s"}"#] {
        produce(&stack, &json!({ "topic": stack.topic, "key": key, "value": value })).await?;
    }
    deliver(&stack, &dispute_about("dp_2")?).await?;
    let settling = settle(&stack).await?;
    assert_eq!((settling.total(|run| run.parked), settling.total(|run| run.done)), (4, 2));
    let malformed = stack.get("/runs/:malformed").await?;
    let shown = malformed.json()["effects"].as_array().map(Vec::len);
    assert_eq!((malformed.status, shown), (200, Some(4)), "a person can see them");
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_command_for_a_step_that_is_gone_waits_for_an_hour_and_is_parked_then() -> Story {
    let stack = stack().await?;
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    let produced = stack.broker_proxy.seen_where(produces);
    let message = String::from_utf8(produced[0].body.to_vec())?.replace("open_ticket", "gone_step");
    let message = command::fitted(&serde_json::from_str(&message)?)?;
    produce(&stack, &message).await?;
    // A deployment may be in progress, and this command may belong to its new configuration.
    while stack.run_consumer().await?.enqueued == 0 {}
    let is_waiting = |effect: &Effect| effect.step == "gone_step" && effect.status == "pending";
    assert!(stack.effects().await?.iter().any(is_waiting));

    let mut command = command::of(&message)?;
    let hour_ago = Timestamp::now() - Duration::from_secs(3600);
    command["received_at"] = hour_ago.to_string().into();
    let waiting = stack.effects().await?.into_iter().find(is_waiting).context("waiting")?;
    let mut record = waiting.record.clone();
    record["command"] = command.to_string().into();
    stack.table()?.put(&record).await?;
    settle(&stack).await?;
    let effects = stack.effects().await?;
    let parked: Vec<_> = effects.iter().filter(|effect| effect.is_parked()).collect();
    assert_eq!((parked.len(), parked[0].step.as_str()), (1, "gone_step"));
    assert_eq!(parked[0].last_error(), "webhooks.toml has no such step");
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_stream_that_breaks_is_opened_again_in_the_same_run() -> Story {
    let stack = stack().await?;
    deliver(&stack, &dispute()?).await?;
    stack.broker_proxy.once(consumes, Fault::CutBefore);
    let summary = stack.run_consumer().await?;
    assert_eq!((summary.done, summary.outcome.as_str()), (1, "drained"));
    settle(&stack).await?;
    Ok(stack.finish().await?)
}

/// An empty topic is silent as well. A process that knows the broker's limits requests nothing before it consumes.
#[tokio::test]
async fn a_broker_that_hangs_is_not_an_empty_topic() -> Story {
    let stack = stack().await?;
    for known in [false, true] {
        stack.broker_proxy.always(|_| true, Fault::HangBefore);
        let failure = stack.run_consumer().await.err().context("it did not fail")?.to_string();
        assert!(failure.contains("could not be drained"), "{known}: {failure}");
        stack.broker_proxy.heal();
        assert_eq!(stack.run_consumer().await?.outcome, "drained");
    }
    Ok(stack.finish().await?)
}

/// Produces a message to the topic directly.
pub(crate) async fn produce(stack: &local::stack::Stack, message: &serde_json::Value) -> Result<()> {
    let client = reqwest::Client::new();
    let url = format!("{}/v1/produce", stack.broker_proxy.url());
    let body = serde_json::to_vec(message)?;
    let answer = client.post(url).header("content-type", "application/json").body(body).send().await?;
    anyhow::ensure!(answer.status() == 200, "{}", answer.text().await?);
    Ok(())
}
