//! Outcomes of a call, and what follows: tests of the table in `functions/outcome.rs`.

use local::{proxy::Fault, third_party::Behaviour};
use toml::Value;

use crate::setup::{
    PATIENCE, SLACK, Story, TICKETS, deliver, dispute, issue, only_effect, park_in_doubt, retry, settle,
    stack, stack_with,
};

#[tokio::test]
async fn refused_for_now_is_tried_again_no_sooner_than_it_was_asked() -> Story {
    let stack = stack().await?;
    stack.third_party.script(TICKETS, [Behaviour::too_many("2"), Behaviour::refuse(425)]);
    deliver(&stack, &dispute()?).await?;
    let settling = settle(&stack).await?;
    assert_eq!((settling.total(|run| run.deferred), settling.total(|run| run.from_agenda)), (2, 2));
    let ledger = stack.third_party.ledger();
    let [first, second, _] = ledger.attempts() else { panic!("{:?}", ledger.attempts()) };
    assert!(second.at.duration_since(first.at).as_secs() >= 2, "Retry-After is honoured");
    assert_eq!(ledger.applied().len(), 1);
    let effect = only_effect(&stack).await?;
    assert_eq!((effect.is_done(), effect.attempt), (true, 3));
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_third_party_that_can_not_be_reached_is_called_later() -> Story {
    let stack = stack().await?;
    stack.third_party.close().await;
    deliver(&stack, &dispute()?).await?;
    let put_off = stack.table_proxy()?.once(|seen| seen.mentions("\"waiting\""), Fault::Pass);
    let story = async {
        put_off.within(PATIENCE).await?;
        let effect = only_effect(&stack).await?;
        assert!(effect.record["doubt"].is_null(), "nothing was sent, so nothing is in doubt");
        stack.third_party.open().await
    };
    let (run, told) = tokio::join!(stack.run_consumer(), story);
    told?;
    let run = run?;
    assert!(run.deferred >= 1 && run.parked == 0, "{run:?}");
    settle(&stack).await?;
    assert_eq!(stack.third_party.ledger().attempts().len(), 1);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_500_that_hides_a_success_is_called_again_with_the_same_key() -> Story {
    let stack = stack().await?;
    stack.third_party.script(TICKETS, [Behaviour::refuse(500).after_applying()]);
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    let ledger = stack.third_party.ledger();
    assert_eq!((ledger.applied().len(), ledger.deduped().len()), (1, 1));
    assert_eq!(
        only_effect(&stack).await?.record["receipt"].as_str().map(|text| text.contains("tp_1")),
        Some(true)
    );
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_timeout_that_hides_a_success_is_called_again_with_the_same_key() -> Story {
    let stack = stack().await?;
    stack
        .third_party
        .script(TICKETS, [Behaviour::hang().after_applying(), Behaviour::cut().after_applying()]);
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    let ledger = stack.third_party.ledger();
    assert_eq!(ledger.applied().len(), 1, "applied once, however often it was asked");
    assert!(ledger.attempts().len() > 1);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn an_unknown_outcome_without_deduplication_is_parked() -> Story {
    let stack = stack().await?;
    stack.third_party.script(SLACK, [Behaviour::hang().after_applying()]);
    deliver(&stack, &issue()?).await?;
    settle(&stack).await?;
    let effects = stack.effects().await?;
    let parked: Vec<_> = effects.iter().filter(|effect| effect.is_parked()).collect();
    assert_eq!((effects.len(), parked.len()), (2, 1));
    assert_eq!(parked[0].step, "tell_slack");
    assert!(parked[0].last_error().starts_with("in doubt: no answer in time"), "{}", parked[0].last_error());
    let shown = stack.get(&format!("/runs/{}", parked[0].run_id)).await?.json();
    let shown =
        shown["effects"].as_array().unwrap().iter().find(|effect| effect["step"] == "tell_slack").unwrap();
    let input = &shown["command"]["payload"]["input"];
    assert_eq!(input["title"], issue()?.json()["issue"]["title"], "with all that is needed to decide");
    assert_eq!(stack.third_party.ledger().attempts_on(SLACK).len(), 1, "never repeated");
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_redirect_and_a_400_are_never_followed_up() -> Story {
    let stack = stack().await?;
    let elsewhere = format!("{}/elsewhere", stack.third_party.url());
    for behaviour in [Behaviour::redirect(&elsewhere), Behaviour::refuse(400)] {
        stack.third_party.script(TICKETS, [behaviour]);
    }
    deliver(&stack, &crate::setup::dispute_about("dp_1")?).await?;
    settle(&stack).await?;
    deliver(&stack, &crate::setup::dispute_about("dp_2")?).await?;
    settle(&stack).await?;
    let mut why: Vec<_> =
        stack.effects().await?.iter().map(|effect| effect.last_error().to_owned()).collect();
    why.sort();
    assert_eq!(why, ["answered 307", "answered 400"]);
    assert_eq!(stack.third_party.ledger().attempts_on("/elsewhere").len(), 0);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn attempts_that_are_used_up_are_parked_with_the_last_reason() -> Story {
    let stack =
        stack_with(|config| drop(config.step("open_ticket").insert("retry".into(), Value::Table(retry(2)))))
            .await?;
    stack.third_party.always(TICKETS, Behaviour::refuse(429));
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    let effect = only_effect(&stack).await?;
    assert_eq!((effect.is_parked(), effect.attempt), (true, 2));
    assert_eq!(effect.last_error(), "attempts used up; the last: answered 429");
    assert_eq!(stack.third_party.ledger().attempts().len(), 2);
    Ok(stack.finish().await?)
}

/// The window has room for the first call, which times out after 1 s, and for several more, but not for a lease of 11 s after the first: with clocks
/// that differ by as much as a lease allows, a second call could be made too late.
#[tokio::test]
async fn a_key_that_the_third_party_may_have_forgotten_is_not_used_again() -> Story {
    let stack = stack_with(|config| {
        let doubt = crate::setup::table(config.step("open_ticket"), "in_doubt");
        doubt.insert("window".into(), "12s".into());
        crate::setup::table(config.table(), "consumer").insert("settle".into(), "10s".into());
    })
    .await?;
    stack.third_party.script(TICKETS, [Behaviour::hang().after_applying()]);
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    let effect = only_effect(&stack).await?;
    assert!(
        effect.is_parked() && effect.last_error().contains("forgotten the key"),
        "{}",
        effect.last_error()
    );
    assert_eq!(stack.third_party.ledger().attempts().len(), 1);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_success_with_a_body_that_never_ends_is_a_success() -> Story {
    let stack = stack_with(|config| park_in_doubt(config, "open_ticket")).await?;
    let endless = local::http::Answer::status(200).with_body("x".repeat(2 << 20));
    stack.third_party.script(TICKETS, [Behaviour::answer(endless).after_applying()]);
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    assert!(only_effect(&stack).await?.is_done());
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_200_that_says_no_is_no_success_and_one_that_does_not_say_is_in_doubt() -> Story {
    let stack = stack().await?;
    let answer = |body| Behaviour::answer(local::http::Answer::of_json(200, &body));
    let no = serde_json::json!({ "ok": false, "error": "channel_not_found" });
    stack.third_party.script(SLACK, [answer(no), answer(serde_json::json!({}))]);
    deliver(&stack, &issue()?).await?;
    settle(&stack).await?;
    let other = issue()?.edited(|event| event["issue"]["number"] = 2.into());
    deliver(&stack, &other).await?;
    settle(&stack).await?;
    let effects = stack.effects().await?;
    let mut why: Vec<_> = effects
        .iter()
        .filter(|effect| effect.step == "tell_slack")
        .map(|effect| effect.last_error())
        .collect();
    why.sort_unstable();
    assert_eq!(why[0], "answered 200, but applied_if does not hold");
    assert!(why[1].starts_with("in doubt: answered 200; "), "{why:?}");
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_step_may_know_better_what_a_status_means() -> Story {
    let stack = stack_with(|config| {
        let call = crate::setup::table(config.step("open_ticket"), "call");
        call.insert("statuses".into(), Value::Table(toml::toml! { applied = [409] }));
    })
    .await?;
    stack.third_party.script(TICKETS, [Behaviour::refuse(409)]);
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    assert!(only_effect(&stack).await?.is_done(), "409: it exists already");
    Ok(stack.finish().await?)
}
