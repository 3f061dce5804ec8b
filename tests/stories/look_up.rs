//! Effects in doubt at a third party with a look-up.

use std::time::Duration;

use anyhow::Result;
use local::{http::Answer, proxy::Fault, stack::Stack, third_party::Behaviour};
use serde_json::{Value, json};
use toml::toml;

use crate::setup::{Story, TICKETS, deliver, dispute, only_effect, retry, settle, stack_with, table};

const LOOK_UP: &str = "/api/tickets/by-key";

async fn stack() -> Result<Stack> {
    stack_that_finds("response.status == 200 and response.json.ticket is defined", "1s").await
}

async fn stack_that_finds(found: &str, settle: &str) -> Result<Stack> {
    let mut policy = toml! {
        policy = "look-up"
        url = "https://tickets.example.com/api/tickets/by-key?key={{ idempotency_key }}"
        auth = { bearer = "TICKETS_TOKEN" }
        timeout = "1s"
        not_found = "response.status == 404"
        receipt = { ticket = "{{ response.json.ticket }}" }
    };
    policy.insert("found".into(), found.into());
    let stack = stack_with(|config| {
        table(config.table(), "consumer").insert("settle".into(), settle.into());
        config.step("open_ticket").insert("in_doubt".into(), policy.into());
        config.step("open_ticket").insert("retry".into(), retry(4).into());
    })
    .await?;
    // It does not deduplicate: whatever is called twice is applied twice.
    stack.third_party.forget_keys(TICKETS);
    Ok(stack)
}

fn says(status: u16, body: &Value) -> Behaviour {
    Behaviour::answer(Answer::of_json(status, body))
}

#[tokio::test]
async fn found_is_committed_with_what_was_found_and_not_called_again() -> Story {
    let stack = stack().await?;
    let kill = stack.consumer.killer().hook();
    stack.third_party.script(TICKETS, [Behaviour::apply().with_hook(kill)]);
    stack.third_party.always(LOOK_UP, says(200, &json!({ "ticket": "T-1" })));
    deliver(&stack, &dispute()?).await?;
    let settling = settle(&stack).await?;
    assert_eq!(settling.deaths(), 1);
    let ledger = stack.third_party.ledger();
    assert_eq!((ledger.attempts_on(TICKETS).len(), ledger.attempts_on(LOOK_UP).len()), (1, 1));
    assert_eq!(ledger.attempts_on(LOOK_UP)[0].method, "GET");
    assert_eq!(ledger.attempts_on(LOOK_UP)[0].headers["authorization"], "Bearer local-tickets-token");
    let effect = only_effect(&stack).await?;
    let receipt: Value = serde_json::from_str(effect.record["receipt"].as_str().unwrap())?;
    assert_eq!((effect.is_done(), &receipt["fields"]), (true, &json!({ "ticket": "T-1" })));
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn not_found_is_called() -> Story {
    let stack = stack().await?;
    let kill = stack.consumer.killer().hook();
    stack.table_proxy()?.once(|seen| seen.is("PutItem"), Fault::HookAfter(kill));
    stack.third_party.always(LOOK_UP, Behaviour::refuse(404));
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    let ledger = stack.third_party.ledger();
    assert_eq!((ledger.attempts_on(LOOK_UP).len(), ledger.applied_on(TICKETS).len()), (1, 1));
    assert!(only_effect(&stack).await?.is_done());
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn an_inconclusive_look_up_is_repeated() -> Story {
    let stack = stack().await?;
    stack.third_party.script(TICKETS, [Behaviour::hang().after_applying()]);
    stack.third_party.script(LOOK_UP, [Behaviour::refuse(500), says(200, &json!({}))]);
    stack.third_party.always(LOOK_UP, says(200, &json!({ "ticket": "T-1" })));
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    let ledger = stack.third_party.ledger();
    assert_eq!((ledger.attempts_on(TICKETS).len(), ledger.attempts_on(LOOK_UP).len()), (1, 3));
    let effect = only_effect(&stack).await?;
    assert!(effect.is_done());
    let what: Vec<_> =
        effect.record["history"].as_array().unwrap().iter().map(|ended| ended["what"].clone()).collect();
    assert!(what[0].as_str().unwrap().starts_with("no answer in time"), "{what:?}");
    assert!(what[1].as_str().unwrap().starts_with("the look-up answered 500"), "{what:?}");
    assert_eq!((what.len(), &what[3]), (4, &json!("done")));
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_doubt_that_no_look_up_resolves_is_parked() -> Story {
    let stack = stack().await?;
    stack.third_party.script(TICKETS, [Behaviour::refuse(500).after_applying()]);
    stack.third_party.always(LOOK_UP, Behaviour::refuse(503));
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    let effect = only_effect(&stack).await?;
    assert!(
        effect.is_parked() && effect.last_error().starts_with("attempts used up"),
        "{}",
        effect.last_error()
    );
    assert!(effect.record["doubt"].is_string(), "and it says that it is in doubt");
    assert_eq!(stack.third_party.ledger().attempts_on(TICKETS).len(), 1);
    Ok(stack.finish().await?)
}

/// A call that has timed out after 1 s may still arrive, here after 6 s. A look-up before that finds nothing.
#[tokio::test]
async fn a_call_that_lands_after_its_timeout_is_waited_for() -> Story {
    let stack = stack_that_finds("response.status == 200", "6s").await?;
    stack.third_party.script(TICKETS, [Behaviour::apply_late(Duration::from_secs(6))]);
    stack.third_party.always(LOOK_UP, Behaviour::look_up());
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    let ledger = stack.third_party.ledger();
    // A late call is in the ledger only once it has arrived: a second call would be there before it.
    let (landed, asked) = (ledger.attempts_on(TICKETS)[0].at, ledger.attempts_on(LOOK_UP)[0].at);
    assert!(asked > landed, "asked at {asked}, and called before the first call had landed");
    assert_eq!((ledger.attempts_on(TICKETS).len(), ledger.applied_on(TICKETS).len()), (1, 1));
    assert!(only_effect(&stack).await?.is_done());
    Ok(stack.finish().await?)
}

/// The lease is the call's second, the look-up's, and 4 s (`settle`). A call without a response may arrive that late.
#[tokio::test]
async fn no_look_up_before_the_lease_of_an_unanswered_call_ends() -> Story {
    let stack = stack_that_finds("response.status == 200", "4s").await?;
    stack.third_party.script(TICKETS, [Behaviour::cut()]);
    stack.third_party.always(LOOK_UP, Behaviour::look_up());
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    let ledger = stack.third_party.ledger();
    let (called, asked) = (ledger.attempts_on(TICKETS)[0].at, ledger.attempts_on(LOOK_UP)[0].at);
    let rest = asked.duration_since(called);
    assert!(rest.as_secs() >= 6, "asked after {rest:#}");
    assert_eq!(
        (ledger.applied_on(TICKETS).len(), ledger.attempts_on(TICKETS).len()),
        (1, 2),
        "not found, so called"
    );
    Ok(stack.finish().await?)
}
