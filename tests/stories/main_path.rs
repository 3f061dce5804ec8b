//! The main path: an authentic webhook becomes its calls, once each.

use std::time::Duration;

use anyhow::Result;
use local::{http::Answer, proxy::Fault, third_party::Behaviour, webhook::Webhook};
use serde_json::json;

use crate::setup::{
    PATIENCE, SLACK, Story, TICKETS, builder, config, deliver, dispute, issue, only_effect, produces, settle,
    stack,
};

#[tokio::test]
async fn a_signed_webhook_becomes_one_call_with_its_key_its_credentials_and_its_input() -> Story {
    let stack = stack().await?;
    let webhook = dispute()?;
    let effects = deliver(&stack, &webhook).await?;
    let settling = settle(&stack).await?;
    assert_eq!((settling.total(|run| run.done), settling.total(|run| run.duplicates)), (1, 0));

    let event = webhook.json();
    let dispute = &event["data"]["object"];
    let expected =
        format!("stripe.{}:open_ticket:{}", event["id"].as_str().unwrap(), dispute["id"].as_str().unwrap());
    assert_eq!(effects, std::slice::from_ref(&expected));
    let ledger = stack.third_party.ledger();
    let [call] = ledger.attempts() else { panic!("{:?}", ledger.attempts()) };
    assert_eq!((call.method.as_str(), call.path.as_str()), ("POST", TICKETS));
    assert_eq!(call.key, Some(expected));
    assert_eq!(call.headers["authorization"], "Bearer local-tickets-token");
    let title = format!("Dispute {}", dispute["id"].as_str().unwrap());
    let body = json!({
        "title": title, "charge": dispute["charge"], "amount": dispute["amount"], "reason": dispute["reason"],
    });
    assert_eq!(call.body, body, "a number stays a number");
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_run_can_be_looked_at_with_its_receipt() -> Story {
    let stack = stack().await?;
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    let effect = only_effect(&stack).await?;
    let answer = stack.get(&format!("/runs/{}", effect.run_id)).await?;
    assert_eq!(answer.status, 200);
    let run = answer.json();
    let shown = &run["effects"][0];
    assert_eq!((&shown["status"], &shown["attempt"]), (&json!("done"), &json!(1)));
    assert_eq!(shown["receipt"]["status"], 200);
    assert_eq!(shown["receipt"]["fields"]["ticket"], "tp_1");
    assert!(shown["first_attempt_at"].is_string() && shown["lease_until"].is_null(), "{shown}");
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_webhook_delivered_three_times_is_called_once() -> Story {
    let stack = stack().await?;
    let webhook = dispute()?;
    let first = deliver(&stack, &webhook).await?;
    assert_eq!(deliver(&stack, &webhook).await?, first, "a redelivery is the same run");
    settle(&stack).await?;
    assert_eq!(deliver(&stack, &webhook).await?, first);
    let settling = settle(&stack).await?;
    assert_eq!(settling.total(|run| run.duplicates), 1);
    assert_eq!(stack.third_party.ledger().attempts().len(), 1);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn one_webhook_can_start_two_steps() -> Story {
    let stack = stack().await?;
    let effects = deliver(&stack, &issue()?).await?;
    assert_eq!(effects.len(), 2);
    settle(&stack).await?;
    let ledger = stack.third_party.ledger();
    assert_eq!(ledger.applied_on(SLACK).len(), 1);
    assert_eq!(ledger.applied_on("/v1/chat/completions").len(), 1);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_replay_under_a_fresh_delivery_id_is_the_same_run() -> Story {
    let stack = stack().await?;
    let first = deliver(&stack, &issue()?).await?;
    let replay = issue()?.with("x-github-delivery", "00000000-0000-0000-0000-000000000000");
    assert_eq!(deliver(&stack, &replay).await?, first);
    settle(&stack).await?;
    assert_eq!(stack.third_party.ledger().applied().len(), 2);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn two_event_types_that_mean_one_invoice_are_one_charge() -> Story {
    let stack = stack().await?;
    let issued = Webhook::sample("billing.invoice.issued")?;
    let again = issued.clone().with("webhook-id", "msg_another");
    assert_eq!(deliver(&stack, &issued).await?, deliver(&stack, &again).await?);
    settle(&stack).await?;
    let ledger = stack.third_party.ledger();
    assert_eq!(ledger.applied_on("/v1/payment_intents").len(), 1);
    let invoice = issued.json()["data"]["invoice_id"].clone();
    assert_eq!(ledger.applied()[0].body["metadata[invoice]"], invoice, "the call is a form");
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_business_key_may_hold_colons_and_any_script() -> Story {
    let stack = stack().await?;
    let key = "dp:größe:紛争:1";
    let webhook = dispute()?.edited(|event| event["data"]["object"]["id"] = key.into());
    let effects = deliver(&stack, &webhook).await?;
    assert!(effects[0].ends_with(&format!(":open_ticket:{key}")), "{effects:?}");
    settle(&stack).await?;
    let ledger = stack.third_party.ledger();
    assert_eq!(ledger.applied().len(), 1);
    let sent = ledger.applied()[0].key.clone().unwrap();
    assert!(sent.starts_with("sha256-"), "{sent} is no legal header");
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn input_too_large_for_the_broker_arrives_whole() -> Story {
    let stack = stack().await?;
    let text = "A long story. ".repeat(30_000);
    let webhook = issue()?.edited(|event| event["issue"]["body"] = text.clone().into());
    deliver(&stack, &webhook).await?;
    settle(&stack).await?;
    let ledger = stack.third_party.ledger();
    let [call] = ledger.applied_on("/v1/chat/completions")[..] else {
        panic!("{:?}", ledger.attempts().len())
    };
    let sent = call.body["messages"][1]["content"].as_str().unwrap();
    assert!(sent.ends_with(&text), "{} of {} bytes", sent.len(), text.len());
    let produced = stack.broker_proxy.seen_where(produces);
    assert!(produced.iter().all(|seen| seen.body.len() < 20_000), "the broker holds 64 KiB a partition");
    if let Ok(table) = stack.table() {
        let kept = table.scan().await?;
        let chunks = kept.iter().filter(|item| item["run_id"].as_str().unwrap().starts_with(":claimcheck"));
        assert_eq!(chunks.count(), 0, "thrown away once it is done");
    }
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn the_same_effect_with_other_input_is_parked_with_both_digests() -> Story {
    let stack = stack().await?;
    stack.third_party.script(TICKETS, [Behaviour::refuse(422)]);
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    deliver(&stack, &dispute_of(1)?).await?;
    settle(&stack).await?;
    let mut why: Vec<_> =
        stack.effects().await?.iter().map(|effect| effect.last_error().to_owned()).collect();
    why.sort();
    assert_eq!((why.len(), why[0].as_str()), (2, "answered 422"));
    assert!(why[1].contains("other input: recorded "), "{}", why[1]);
    assert_eq!(stack.third_party.ledger().attempts().len(), 1);
    Ok(stack.finish().await?)
}

/// A deployment may change a step's input. A redelivery then has another digest.
#[tokio::test]
async fn a_done_effect_is_no_conflict_when_its_input_has_changed() -> Story {
    let stack = stack().await?;
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    deliver(&stack, &dispute_of(1)?).await?;
    assert_eq!(settle(&stack).await?.total(|run| run.duplicates), 1);
    stack.broker_proxy.once(produces, Fault::Answer(Answer::partition_full()));
    deliver(&stack, &dispute_of(2)?).await?;
    settle(&stack).await?;
    assert!(only_effect(&stack).await?.is_done());
    assert_eq!(stack.third_party.ledger().attempts().len(), 1);
    Ok(stack.finish().await?)
}

/// The same event, with another amount.
fn dispute_of(amount: u32) -> Result<Webhook> {
    Ok(dispute()?.edited(|event| event["data"]["object"]["amount"] = amount.into()))
}

/// The step may take 1 s and its commit 1 s. A run of 4 s has no time for a third step.
#[tokio::test]
async fn what_does_not_fit_into_what_is_left_is_for_the_next_run_and_this_one_goes_on() -> Story {
    let stack = builder(config()?)?.env("IDLE_EXIT", "10s").start().await?;
    stack.consumer.warm().await?;
    let late = async {
        tokio::time::sleep(Duration::from_millis(2300)).await;
        deliver(&stack, &dispute()?).await
    };
    let (run, late) = tokio::join!(stack.run_consumer_within(Duration::from_secs(4)), late);
    let (run, _) = (run?, late?);
    assert_eq!((run.outcome.as_str(), run.enqueued, run.done, run.unacked), ("deadline", 1, 0, 0), "{run:?}");
    assert_eq!(only_effect(&stack).await?.status, "pending");
    assert_eq!(stack.run_until_settled(PATIENCE).await?.total(|run| run.done), 1);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_step_that_no_invocation_has_time_for_is_parked() -> Story {
    let stack = stack().await?;
    deliver(&stack, &dispute()?).await?;
    // The step takes 2 s with its commit.
    let short = Duration::from_millis(1800);
    while stack.run_consumer_within(short).await?.parked == 0 {}
    let effect = only_effect(&stack).await?;
    assert!(effect.is_parked() && effect.last_error().contains("which no invocation has"), "{effect:?}");
    assert_eq!(stack.third_party.ledger().attempts().len(), 0);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn two_consumers_never_drain_at_once() -> Story {
    let stack = crate::setup::builder(crate::setup::config()?)?.consumers(2).start().await?;
    for number in 0..8 {
        deliver(&stack, &crate::setup::dispute_about(&format!("dp_{number}"))?).await?;
    }
    let (one, other) = tokio::join!(stack.run_consumer(), stack.run_consumer());
    let (one, other) = (one?, other?);
    assert!([&one, &other].iter().any(|run| run.outcome == "busy" || run.received == 0), "{one:?} {other:?}");
    settle(&stack).await?;
    assert_eq!(stack.third_party.ledger().attempts().len(), 8);
    Ok(stack.finish().await?)
}
