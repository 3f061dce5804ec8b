//! Operator decisions on parked effects: after each decision, the third party's ledger agrees with the record.

use anyhow::Result;
use local::{
    http::Answer,
    proxy::Fault,
    stack::{Effect, Stack},
    third_party::Behaviour,
};
use serde_json::{Value, json};

use crate::{
    broker_trouble::produce,
    setup::{Story, TICKETS, deliver, dispute, only_effect, park_in_doubt, retry, settle, stack, stack_with},
};

/// A ticket in doubt, at a third party without a look-up.
async fn in_doubt(call: Behaviour) -> Result<(Stack, Effect)> {
    let stack = stack_with(|config| park_in_doubt(config, "open_ticket")).await?;
    stack.third_party.script(TICKETS, [call]);
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    let effect = only_effect(&stack).await?;
    assert!(effect.is_parked(), "{effect:?}");
    Ok((stack, effect))
}

pub(crate) async fn decide(stack: &Stack, effect: &Effect, decision: &str) -> Result<Answer> {
    let body = json!({
        "effect_id": effect.effect_id, "attempt": effect.attempt, "decision": decision, "note": "Ann: I looked",
    });
    stack.post_json(&format!("/runs/{}/decide", effect.run_id), &[], &body).await
}

async fn parked(stack: &Stack) -> Result<Vec<Value>> {
    let shown = stack.get("/parked").await?;
    assert_eq!(shown.status, 200);
    Ok(shown.json()["parked"].as_array().cloned().unwrap_or_default())
}

fn detail(answer: &Answer) -> String {
    answer.json()["detail"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_parked_effect_shows_what_a_decision_needs() -> Story {
    let (stack, effect) = in_doubt(Behaviour::hang().after_applying()).await?;
    let shown = parked(&stack).await?;
    assert_eq!(shown.len(), 1);
    assert_eq!(
        (&shown[0]["effect_id"], &shown[0]["run_id"]),
        (&json!(effect.effect_id), &json!(effect.run_id))
    );
    assert_eq!(shown[0]["doubt"], shown[0]["last_error"]);
    assert_eq!((&shown[0]["attempt"], &shown[0]["history"][0]["attempt"]), (&json!(1), &json!(1)));
    let disputed = dispute()?.json()["data"]["object"]["amount"].clone();
    assert_eq!(shown[0]["command"]["payload"]["input"]["amount"], disputed);
    assert!(shown[0]["first_attempt_at"].is_string() && shown[0]["due_at"].is_string(), "{}", shown[0]);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn it_happened_so_it_is_done_and_not_called_again() -> Story {
    let (stack, effect) = in_doubt(Behaviour::hang().after_applying()).await?;
    let decided = decide(&stack, &effect, "applied").await?;
    assert_eq!((decided.status, &decided.json()["status"]), (200, &json!("done")));
    assert_eq!(decided.json()["history"][1]["what"], "applied: Ann: I looked");
    assert_eq!(parked(&stack).await?, Vec::<Value>::new());

    deliver(&stack, &dispute()?).await?;
    let settling = settle(&stack).await?;
    assert_eq!(settling.total(|run| run.duplicates), 1);
    let ledger = stack.third_party.ledger();
    assert_eq!((ledger.attempts().len(), ledger.applied().len()), (1, 1));
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn it_did_not_happen_so_it_is_called_and_done() -> Story {
    let (stack, effect) = in_doubt(Behaviour::hang()).await?;
    let decided = decide(&stack, &effect, "not_applied").await?;
    assert_eq!((decided.status, &decided.json()["status"]), (200, &json!("waiting")));
    settle(&stack).await?;
    let effect = only_effect(&stack).await?;
    assert_eq!((effect.is_done(), effect.attempt), (true, 2), "{effect:?}");
    let ledger = stack.third_party.ledger();
    assert_eq!((ledger.attempts().len(), ledger.applied().len()), (2, 1));
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn it_is_not_wanted_any_more_so_it_is_never_called() -> Story {
    let (stack, effect) = in_doubt(Behaviour::hang()).await?;
    assert_eq!(decide(&stack, &effect, "discard").await?.json()["status"], "discarded");
    assert_eq!(parked(&stack).await?, Vec::<Value>::new());
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    assert_eq!(only_effect(&stack).await?.status, "discarded");
    assert_eq!(stack.third_party.ledger().attempts().len(), 1, "not even for a redelivery");
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_retry_does_not_say_whether_it_happened() -> Story {
    let (stack, effect) = in_doubt(Behaviour::hang().after_applying()).await?;
    let refused = decide(&stack, &effect, "retry").await?;
    assert_eq!(refused.status, 422);
    assert!(detail(&refused).contains("say applied or not_applied"), "{}", detail(&refused));
    settle(&stack).await?;
    assert!(only_effect(&stack).await?.is_parked());
    assert_eq!(stack.third_party.ledger().attempts().len(), 1);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_retry_of_a_doubt_that_the_policy_resolves_is_asked_with_the_same_key() -> Story {
    let stack =
        stack_with(|config| drop(config.step("open_ticket").insert("retry".into(), retry(1).into()))).await?;
    stack.third_party.script(TICKETS, [Behaviour::hang().after_applying()]);
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    let effect = only_effect(&stack).await?;
    assert!(effect.last_error().starts_with("attempts used up"), "{effect:?}");
    assert_eq!(decide(&stack, &effect, "retry").await?.status, 200);
    settle(&stack).await?;
    assert!(only_effect(&stack).await?.is_done());
    let ledger = stack.third_party.ledger();
    assert_eq!((ledger.applied().len(), ledger.deduped().len()), (1, 1));
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_retry_has_a_whole_budget() -> Story {
    let stack =
        stack_with(|config| drop(config.step("open_ticket").insert("retry".into(), retry(2).into()))).await?;
    stack.third_party.always(TICKETS, Behaviour::refuse(429));
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    for attempts in [2, 4] {
        let effect = only_effect(&stack).await?;
        assert_eq!((effect.is_parked(), effect.attempt), (true, attempts));
        assert_eq!(decide(&stack, &effect, "retry").await?.status, 200);
        settle(&stack).await?;
    }
    assert_eq!(stack.third_party.ledger().attempts().len(), 6);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn the_second_of_two_decisions_is_refused() -> Story {
    let (stack, effect) = in_doubt(Behaviour::hang()).await?;
    let (one, other) =
        tokio::join!(decide(&stack, &effect, "not_applied"), decide(&stack, &effect, "discard"));
    let mut answers = [one?, other?];
    answers.sort_by_key(|answer| answer.status);
    assert_eq!(answers.each_ref().map(|answer| answer.status), [200, 409]);
    settle(&stack).await?;
    let attempts = if only_effect(&stack).await?.is_done() { 2 } else { 1 };
    assert_eq!(stack.third_party.ledger().attempts().len(), attempts);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_decision_on_an_older_list_is_refused() -> Story {
    let (stack, mut effect) = in_doubt(Behaviour::hang()).await?;
    effect.attempt = 0;
    let refused = decide(&stack, &effect, "not_applied").await?;
    assert_eq!(
        (refused.status, detail(&refused)),
        (409, "the effect is parked after attempt 1; look at it again".into())
    );
    effect.effect_id.push('x');
    assert_eq!(decide(&stack, &effect, "not_applied").await?.status, 404);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_decision_whose_answer_was_lost_is_recognised() -> Story {
    let (stack, effect) = in_doubt(Behaviour::hang()).await?;
    let lost = stack.table_proxy()?.once(|seen| seen.is("UpdateItem"), Fault::CutAfter);
    assert_eq!(decide(&stack, &effect, "not_applied").await?.status, 200);
    assert_eq!(lost.count(), 1);
    settle(&stack).await?;
    assert!(only_effect(&stack).await?.is_done());
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_message_that_is_no_command_can_only_be_discarded() -> Story {
    let stack = stack().await?;
    deliver(&stack, &dispute()?).await?;
    produce(&stack, &json!({ "topic": stack.topic, "value": "no command" })).await?;
    settle(&stack).await?;
    let shown = parked(&stack).await?;
    assert_eq!((shown.len(), &shown[0]["command"]), (1, &json!("no command")));
    let body = |decision: &str| json!({ "effect_id": shown[0]["effect_id"], "attempt": 0, "decision": decision, "note": "Ann" });
    let decide = async |decision| stack.post_json("/runs/:malformed/decide", &[], &body(decision)).await;
    let refused = decide("retry").await?;
    assert_eq!(
        (refused.status, detail(&refused)),
        (422, "decision: this can't be called; discard it".into())
    );
    assert_eq!(decide("discard").await?.json()["status"], "discarded");
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_decision_that_makes_no_sense_is_told_why() -> Story {
    let (stack, effect) = in_doubt(Behaviour::hang()).await?;
    let path = format!("/runs/{}/decide", effect.run_id);
    let sensible =
        json!({ "effect_id": effect.effect_id, "attempt": 1, "decision": "discard", "note": "Ann" });
    let refused = async |field: &str, value: Value| -> Result<String> {
        let mut body = sensible.clone();
        body[field] = value;
        let answer = stack.post_json(&path, &[], &body).await?;
        assert_eq!(answer.status, 422, "{}", answer.json());
        Ok(detail(&answer))
    };
    assert!(refused("decision", "maybe".into()).await?.contains("not_applied"));
    assert!(refused("note", " ".into()).await?.starts_with("note: say who"));
    assert!(refused("note", "x".repeat(1001).into()).await?.starts_with("note"));
    assert!(refused("colour", 1.into()).await?.contains("colour"));
    assert_eq!(
        stack.post_json("/runs/:stream/decide", &[], &sensible).await?.status,
        404,
        "bookkeeping is no run"
    );
    assert_eq!(stack.get(&path).await?.status, 405);
    Ok(stack.finish().await?)
}

/// Parks this many more disputes for this reason, each like the first one.
async fn park_more(stack: &Stack, first: &Effect, more: usize) -> Result<()> {
    let mut records = Vec::new();
    for number in 0..more {
        let record = first
            .record
            .to_string()
            .replace("du_", &format!("du_{number}_"))
            .replace("evt_", &format!("evt_{number}_"));
        records.push(serde_json::from_str(&record)?);
    }
    stack.table()?.put_all(&records).await
}

#[tokio::test]
async fn many_are_decided_at_once_after_a_plan_and_each_is_called_once() -> Story {
    let stack = stack().await?;
    stack.third_party.script(TICKETS, [Behaviour::refuse(422)]);
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    let first = only_effect(&stack).await?;
    park_more(&stack, &first, 260).await?;
    let page = stack.get("/parked").await?.json();
    assert_eq!((page["parked"].as_array().map(Vec::len), &page["total"]), (Some(100), &json!(261)));
    let next =
        stack.get(&format!("/parked?after={}", page["next"].as_str().unwrap_or_default())).await?.json();
    assert_ne!(next["parked"][0]["effect_id"], page["parked"][0]["effect_id"]);
    assert_eq!(next["parked"].as_array().map(Vec::len), Some(100));

    let ask = async |body: Value| stack.post_json("/parked/decide", &[], &body).await;
    let empty = ask(json!({ "decision": "retry", "note": "Ada", "filter": {} })).await?;
    assert_eq!(empty.status, 422, "{}", detail(&empty));
    let none = ask(json!({ "decision": "retry", "plan": true, "filter": { "error": "answered 503" } }))
        .await?
        .json();
    assert_eq!((&none["plan"]["parked"], &none["plan"]["would_decide"]), (&json!(261), &json!(0)));
    let filter = json!({ "step": "open_ticket", "error": "answered 422", "in_doubt": false });
    let plan = ask(json!({ "decision": "retry", "plan": true, "filter": filter })).await?.json();
    assert_eq!(
        (&plan["plan"]["would_decide"], plan["plan"]["samples"].as_array().map(Vec::len)),
        (&json!(261), Some(5))
    );
    assert_eq!(parked(&stack).await?.len(), 100, "a plan changes nothing");

    let decision = json!({ "decision": "retry", "note": "their fault is mended", "filter": filter });
    let unexplained = ask(json!({ "decision": "retry", "filter": filter })).await?;
    assert_eq!(unexplained.status, 422, "{}", detail(&unexplained));
    // The table fails halfway; repeated, the decision continues.
    let mut interrupted = 0;
    stack.table_proxy()?.once(
        |seen| seen.is("UpdateItem") && seen.mentions("du_77_"),
        Fault::Answer(Answer::of_json(
            400,
            &json!({ "__type": "com.amazonaws.dynamodb.v20120810#AccessDeniedException" }),
        )),
    );
    let mut decided = 0;
    loop {
        let answer = ask(decision.clone()).await?;
        if answer.status == 503 {
            interrupted += 1;
            continue;
        }
        let tally = answer.json()["tally"].clone();
        decided += tally["decided"].as_u64().unwrap_or_default();
        if tally["more"] == false {
            break;
        }
    }
    assert!(interrupted >= 1, "the table did not fail");
    assert!(decided > 0, "it goes on");
    assert!(parked(&stack).await?.is_empty());
    settle(&stack).await?;
    let ledger = stack.third_party.ledger();
    assert_eq!(
        (ledger.applied().len(), ledger.attempts().len()),
        (261, 262),
        "each once, and the first one's refusal"
    );
    let record = stack.effect(&first.effect_id).await?.record;
    let what = record["history"][1]["what"].as_str().unwrap_or_default();
    assert!(what.starts_with("retry: their fault is mended (bulk "), "{what}");
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn what_may_have_happened_is_left_out_of_a_retry_of_many_and_said() -> Story {
    let (stack, _) = in_doubt(Behaviour::hang().after_applying()).await?;
    let body = json!({ "decision": "retry", "note": "Ada", "filter": { "step": "open_ticket" } });
    let tally = stack.post_json("/parked/decide", &[], &body).await?.json()["tally"].clone();
    assert_eq!(
        (&tally["decided"], &tally["in_doubt"], &tally["more"]),
        (&json!(0), &json!(1), &json!(false))
    );
    let body = json!({ "decision": "applied", "note": "Ada: it is there", "filter": { "in_doubt": true } });
    let tally = stack.post_json("/parked/decide", &[], &body).await?.json()["tally"].clone();
    assert_eq!((&tally["decided"], &tally["in_doubt"]), (&json!(1), &json!(0)));
    assert!(only_effect(&stack).await?.is_done());
    assert_eq!(stack.third_party.ledger().attempts().len(), 1);
    Ok(stack.finish().await?)
}
