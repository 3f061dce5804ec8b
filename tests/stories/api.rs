//! The API for clients, and the events topic.

use std::time::{Duration, Instant};

use anyhow::Result;
use local::{http::Answer, proxy::Fault};
use serde_json::{Value, json};

use crate::{
    chains,
    setup::{Story, TICKETS, builder, config, deliver, dispute, issue, produces, settle, stack},
};

fn request() -> Value {
    json!({
        "step": "open_ticket", "business_key": "dp_1",
        "input": { "dispute": "dp_1", "charge": "ch_1", "amount": 5, "reason": "fraudulent" },
    })
}

#[tokio::test]
async fn the_same_key_is_the_same_run_and_another_payload_is_refused() -> Story {
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
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn without_a_key_every_request_is_a_run_of_its_own() -> Story {
    let stack = stack().await?;
    let one = stack.post_json("/runs", &[], &request()).await?;
    let other = stack.post_json("/runs", &[], &request()).await?;
    assert_ne!(one.json()["run_id"], other.json()["run_id"]);
    settle(&stack).await?;
    assert_eq!(stack.third_party.ledger().applied().len(), 2);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_request_that_does_not_fit_its_step_is_told_why() -> Story {
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
    Ok(stack.finish().await?)
}

/// A request for a ticket, an email and a file in this order, each with its input.
fn chain() -> Value {
    let mut request = request();
    request["flow"] = json!({
        "email_customer": { "input": { "charge": "ch_7" } },
        "open_file": { "business_key": "ch_7" },
    });
    request
}

#[tokio::test]
async fn a_client_may_name_the_steps_that_are_to_follow() -> Story {
    let stack = chains::with(chains::CHAIN).await?;
    let key = [("idempotency-key", "one")];
    let started = stack.post_json("/runs", &key, &chain()).await?;
    assert_eq!(started.status, 202, "{}", started.json());
    assert_eq!(stack.post_json("/runs", &key, &request()).await?.status, 422, "the same key without a flow");
    settle(&stack).await?;
    assert_eq!(chains::applied(&stack), [TICKETS, chains::EMAILS, chains::FILES]);
    let ledger = stack.third_party.ledger();
    assert_eq!(ledger.attempts_on(chains::EMAILS)[0].body["subject"], "tp_1 about ch_7");
    assert!(
        ledger.attempts_on(chains::FILES)[0]
            .key
            .as_deref()
            .is_some_and(|key| key.ends_with(":open_file:ch_7"))
    );
    // Without a flow, there are no later steps.
    stack.post_json("/runs", &[], &request()).await?;
    settle(&stack).await?;
    assert_eq!(stack.third_party.ledger().applied().len(), 4);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_flow_that_does_not_fit_the_graph_is_told_why() -> Story {
    let stack = chains::with(chains::CHAIN).await?;
    let refused = async |edit: fn(&mut Value)| -> Result<String> {
        let mut body = chain();
        edit(&mut body);
        let answer = stack.post_json("/runs", &[], &body).await?;
        assert_eq!(answer.status, 422, "{}", answer.json());
        Ok(answer.json()["detail"].as_str().unwrap_or_default().to_owned())
    };
    let why = refused(|body| body["step"] = "email_customer".into()).await?;
    assert_eq!(why, "step: email_customer comes after other steps; start those");
    let why = refused(|body| drop(body["flow"].as_object_mut().unwrap().remove("email_customer"))).await?;
    assert_eq!(why, "flow.open_file: it waits for email_customer, which is not asked for");
    let why = refused(|body| body["flow"]["email_customer"]["input"] = json!({})).await?;
    assert_eq!(why, "flow.email_customer: input.charge is missing");
    let why = refused(|body| body["flow"]["email_customer"]["input"]["ticket"] = 1.into()).await?;
    assert_eq!(why, "flow.email_customer: the step takes no input.ticket");
    let why = refused(|body| body["flow"]["tell_slack"] = json!({})).await?;
    assert_eq!(why, "flow.tell_slack: it comes after no other step; start it by itself");
    assert!(
        refused(|body| body["delay"] = "soon".into()).await?.starts_with("delay: \"soon\" is not a time")
    );
    assert_eq!(stack.third_party.ledger().attempts().len(), 0);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_run_can_be_started_for_later() -> Story {
    let stack = stack().await?;
    let mut body = request();
    body["delay"] = "2s".into();
    let asked = Instant::now();
    assert_eq!(stack.post_json("/runs", &[], &body).await?.status, 202);
    settle(&stack).await?;
    assert!(asked.elapsed() >= Duration::from_secs(2));
    assert_eq!(stack.third_party.ledger().applied().len(), 1);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_run_can_be_followed_on_the_events_topic() -> Story {
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
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn an_events_topic_that_takes_nothing_costs_an_effect_nothing() -> Story {
    let stack = builder(config()?)?.env("EVENTS_TOPIC", "sidefx.events").start().await?;
    let full = |seen: &local::proxy::Seen| produces(seen) && seen.mentions("sidefx.events");
    stack.broker_proxy.always(full, Fault::Answer(Answer::partition_full()));
    deliver(&stack, &dispute()?).await?;
    let settling = settle(&stack).await?;
    assert_eq!((settling.total(|run| run.done), settling.total(|run| run.events_dropped)), (1, 3));
    Ok(stack.finish().await?)
}

/// The events that the broker accepted.
pub(crate) fn events(stack: &local::stack::Stack) -> Vec<Value> {
    let produced = stack.broker_proxy.seen_where(|seen| produces(seen) && seen.succeeded());
    let messages =
        produced.iter().map(local::proxy::Seen::json).filter(|message| message["topic"] == "sidefx.events");
    messages.filter_map(|message| serde_json::from_str(message["value"].as_str()?).ok()).collect()
}
