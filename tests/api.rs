//! The API for clients, and the events topic for whoever follows a run.

use anyhow::Result;
use local::{http::Answer, proxy::Fault};
use serde_json::{Value, json};

use crate::house::{builder, config, deliver, dispute, issue, produces, settle, stack};

fn request() -> Value {
    json!({
        "step": "open_ticket", "business_key": "dp_1",
        "input": { "dispute": "dp_1", "charge": "ch_1", "amount": 5, "reason": "fraudulent" },
    })
}

#[tokio::test]
async fn the_same_key_is_the_same_run_and_another_payload_is_refused() -> Result<()> {
    let stack = stack().await?;
    let key = [("idempotency-key", "order 1/2")];
    let first = stack.post_json("/runs", &key, &request()).await?;
    assert_eq!(first.status, 202, "{}", first.json());
    let again = stack.post_json("/runs", &key, &request()).await?;
    assert_eq!((again.status, again.json()), (202, first.json()));

    let mut other = request();
    other["input"]["amount"] = 6.into();
    let refused = stack.post_json("/runs", &key, &other).await?;
    assert_eq!(refused.status, 422);
    assert!(refused.json()["detail"].as_str().unwrap().contains("Idempotency-Key"), "{}", refused.json());

    settle(&stack).await?;
    assert_eq!(stack.third_party.ledger().applied().len(), 1);
    let run = stack.get(&format!("/runs/{}", first.json()["run_id"].as_str().unwrap())).await?;
    assert_eq!(run.json()["effects"][0]["effect_id"], first.json()["effect_id"]);
    stack.finish().await
}

#[tokio::test]
async fn without_a_key_every_request_is_a_run_of_its_own() -> Result<()> {
    let stack = stack().await?;
    let one = stack.post_json("/runs", &[], &request()).await?;
    let other = stack.post_json("/runs", &[], &request()).await?;
    assert_ne!(one.json()["run_id"], other.json()["run_id"]);
    settle(&stack).await?;
    assert_eq!(stack.third_party.ledger().applied().len(), 2);
    stack.finish().await
}

#[tokio::test]
async fn a_request_that_does_not_fit_its_step_is_told_why() -> Result<()> {
    let stack = stack().await?;
    let refused = async |edit: fn(&mut Value)| -> Result<String> {
        let mut body = request();
        edit(&mut body);
        let answer = stack.post_json("/runs", &[], &body).await?;
        assert_eq!(answer.status, 422, "{}", answer.json());
        Ok(answer.json()["detail"].as_str().unwrap_or_default().to_owned())
    };
    assert!(refused(|body| body["step"] = "close_ticket".into()).await?.contains("close_ticket"));
    assert!(refused(|body| body["input"] = json!({})).await?.starts_with("input.amount: missing"));
    assert!(refused(|body| body["input"]["colour"] = 1.into()).await?.starts_with("input.colour"));
    assert!(refused(|body| body["business_key"] = "".into()).await?.starts_with("business_key"));
    assert!(refused(|body| body["surprise"] = 1.into()).await?.contains("surprise"));
    assert_eq!(stack.get("/runs/stripe.unheard").await?.status, 404);
    assert_eq!(stack.get("/runs/:stream").await?.status, 404, "bookkeeping is no run");
    stack.finish().await
}

#[tokio::test]
async fn a_run_can_be_followed_on_the_events_topic() -> Result<()> {
    let stack = builder(config()?)?.env("EVENTS_TOPIC", "sidefx.events").start().await?;
    deliver(&stack, &issue()?).await?;
    deliver(&stack, &dispute()?).await?;
    let settling = settle(&stack).await?;
    assert_eq!(settling.total(|run| run.events_dropped), 0);
    let told = events(&stack);
    let count = |kind: &str| told.iter().filter(|event| event["kind"] == kind).count();
    assert_eq!(
        (count("step.started"), count("side_effect.done"), count("run.completed")),
        (3, 3, 2),
        "{told:?}"
    );
    stack.finish().await
}

#[tokio::test]
async fn an_events_topic_that_takes_nothing_costs_an_effect_nothing() -> Result<()> {
    let stack = builder(config()?)?.env("EVENTS_TOPIC", "sidefx.events").start().await?;
    let full = |seen: &local::proxy::Seen| produces(seen) && seen.mentions("sidefx.events");
    stack.broker_wire.always(full, Fault::Answer(Answer::partition_full()));
    deliver(&stack, &dispute()?).await?;
    let settling = settle(&stack).await?;
    assert_eq!((settling.total(|run| run.done), settling.total(|run| run.events_dropped)), (1, 3));
    stack.finish().await
}

/// The events that the broker took.
pub(crate) fn events(stack: &local::stack::Stack) -> Vec<Value> {
    let produced = stack.broker_wire.seen_where(|seen| produces(seen) && seen.succeeded());
    let messages =
        produced.iter().map(local::proxy::Seen::json).filter(|message| message["topic"] == "sidefx.events");
    messages.filter_map(|message| serde_json::from_str(message["value"].as_str()?).ok()).collect()
}
