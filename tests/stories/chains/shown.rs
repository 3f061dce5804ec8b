//! A chain as a run's API response shows it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use local::{stack::Stack, third_party::Behaviour};
use serde_json::{Value, json};

use super::{CHAIN, EMAILS, JOIN, LETTERS, parked, with};
use crate::{
    api::events,
    bounded::MODEL,
    decisions::decide,
    setup::{SLACK, Story, add_steps, builder, config, deliver, dispute, issue, settle},
};

/// The only run, as ingest returns it.
async fn shown(stack: &Stack) -> Result<Value> {
    let effects = stack.effects().await?;
    let run = &effects.first().context("no effect")?.run_id;
    Ok(stack.get(&format!("/runs/{run}")).await?.json())
}

/// The run's state, and the status of each step.
fn told(run: &Value) -> (&str, BTreeMap<&str, &str>) {
    let steps = run["steps"].as_array().into_iter().flatten();
    let steps = steps.map(|step| (step["step"].as_str().unwrap(), step["status"].as_str().unwrap()));
    (run["state"].as_str().unwrap_or_default(), steps.collect())
}

#[tokio::test]
async fn a_run_is_shown_with_its_graph_its_times_and_its_receipts() -> Story {
    let stack = with(CHAIN).await?;
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    let run = shown(&stack).await?;
    let expected = [("email_customer", "done"), ("open_file", "done"), ("open_ticket", "done")];
    assert_eq!(told(&run), ("done", expected.into()));
    let steps = run["steps"].as_array().context("steps")?;
    let order: Vec<_> = steps.iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(order, ["open_ticket", "email_customer", "open_file"]);
    assert_eq!((&steps[0]["after"], &steps[2]["after"]), (&Value::Null, &json!(["email_customer"])));
    assert_eq!(steps[0]["receipt"]["fields"]["ticket"], "tp_1");
    let time =
        |step: usize, name: &str| steps[step][name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!(time(0, "began_at") <= time(0, "ended_at") && time(0, "ended_at") <= time(2, "began_at"));
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn what_a_parked_step_stops_is_shown_with_what_stops_it_until_that_is_decided() -> Story {
    let stack = with(CHAIN).await?;
    stack.third_party.script(EMAILS, [Behaviour::refuse(422)]);
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    let run = shown(&stack).await?;
    let steps = [("open_ticket", "done"), ("email_customer", "parked"), ("open_file", "blocked")];
    assert_eq!(told(&run), ("parked", steps.into()));
    let email = parked(&stack).await?;
    assert_eq!(run["steps"][2]["blocked_by"], json!([email.effect_id]));
    decide(&stack, &email, "retry").await?;
    let run = shown(&stack).await?;
    assert_eq!((told(&run).0, told(&run).1["open_file"]), ("running", "awaiting"));
    settle(&stack).await?;
    assert_eq!(told(&shown(&stack).await?).0, "done");
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn what_comes_after_a_discarded_step_stays_blocked() -> Story {
    let stack = with(JOIN).await?;
    stack.third_party.script(LETTERS, [Behaviour::refuse(422)]);
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    let letter = parked(&stack).await?;
    assert_eq!(decide(&stack, &letter, "discard").await?.status, 200);
    let run = shown(&stack).await?;
    let steps = [("open_ticket", "done"), ("send_letter", "discarded"), ("open_file", "blocked")];
    assert_eq!(told(&run), ("blocked", steps.into()));
    assert_eq!(run["steps"][2]["blocked_by"], json!([letter.effect_id]));
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_run_is_told_to_be_complete_once_when_all_of_it_is_over() -> Story {
    for skipped in [false, true] {
        let mut config = config()?;
        add_steps(&mut config, CHAIN);
        if skipped {
            let when = "receipts.open_ticket.ticket == ''";
            config.step("email_customer").insert("when".into(), when.into());
        }
        let stack = builder(config)?.env("EVENTS_TOPIC", "sidefx.events").start().await?;
        deliver(&stack, &dispute()?).await?;
        settle(&stack).await?;
        let told = events(&stack);
        let count = |kind: &str| told.iter().filter(|event| event["kind"] == kind).count();
        assert_eq!(count("run.completed"), 1, "{told:?}");
        assert_eq!(count("side_effect.done"), if skipped { 1 } else { 3 });
        assert_eq!(count("step.skipped"), usize::from(skipped));
        stack.finish().await?;
    }
    Ok(())
}

/// Operator commands have no broker configured: the consumer's next run publishes the event.
#[tokio::test]
async fn a_run_that_a_decision_ends_is_told_to_be_complete_once() -> Story {
    for (decision, kind) in [("applied", "side_effect.done"), ("discard", "side_effect.discarded")] {
        let stack = builder(config()?)?.env("EVENTS_TOPIC", "sidefx.events").start().await?;
        for path in [SLACK, MODEL] {
            stack.third_party.script(path, [Behaviour::refuse(422)]);
        }
        deliver(&stack, &issue()?).await?;
        settle(&stack).await?;
        let told = async |kind: &str| {
            stack.run_consumer().await?;
            Ok::<_, anyhow::Error>(events(&stack).iter().filter(|event| event["kind"] == kind).count())
        };
        for (index, effect) in stack.effects().await?.iter().enumerate() {
            assert_eq!(decide(&stack, effect, decision).await?.status, 200);
            assert_eq!(told(kind).await?, index + 1);
            assert_eq!(told("run.completed").await?, index, "of two effects");
        }
        stack.finish().await?;
    }
    Ok(())
}
