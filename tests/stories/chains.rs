//! Steps that come after others: each begins once, with the receipts of its predecessors, whatever crashes in between.

mod deaths;
mod delays;
mod joins;
mod shown;
mod stops;

use anyhow::{Context, Result};
use local::{
    proxy::Seen,
    stack::{Effect, Stack},
    third_party::Call,
};
use serde_json::json;

use crate::setup::{self, Story, TICKETS, add_steps, deliver, dispute, settle, stack_with};

pub(crate) const EMAILS: &str = "/v1/emails";
pub(crate) const FILES: &str = "/v1/files";
pub(crate) const LETTERS: &str = "/v1/letters";

/// A ticket, then an email with its id, then a file with both ids.
pub(crate) const CHAIN: &str = r#"
[[steps]]
id = "email_customer"
after = "open_ticket"
business_key = "{{ event.data.object.id }}"
input = { charge = "{{ event.data.object.charge }}", ticket = "{{ receipts.open_ticket.ticket }}", subject = "{{ receipts.open_ticket.ticket }} about {{ input.charge }}" }
call = { url = "https://email.example.com/v1/emails", json = { subject = "{{ input.subject }}" }, receipt = { email = "{{ response.json.id }}", ok = "{{ response.json.ok }}" }, timeout = "1s" }
in_doubt = { policy = "same-key", window = "24h" }

[[steps]]
id = "open_file"
after = ["email_customer"]
business_key = "{{ event.data.object.charge }}"
input = { papers = ["{{ receipts.open_ticket.ticket }}", "{{ receipts.email_customer.email }}"] }
call = { url = "https://files.example.com/v1/files", json = { papers = "{{ input.papers }}" }, timeout = "1s" }
in_doubt = { policy = "same-key", window = "24h" }
"#;

/// A ticket and a letter, and a file after both.
pub(crate) const JOIN: &str = r#"
[[steps]]
id = "send_letter"
on = { source = "stripe", type = "charge.dispute.*" }
when = "event.data.object.amount > 0"
business_key = "{{ event.data.object.charge }}"
input = { about = "{{ event.data.object.id }}" }
call = { url = "https://letters.example.com/v1/letters", json = { about = "{{ input.about }}" }, receipt = { letter = "{{ response.json.id }}" }, timeout = "1s" }
in_doubt = { policy = "same-key", window = "24h" }

[[steps]]
id = "open_file"
after = ["open_ticket", "send_letter"]
business_key = "{{ event.data.object.id }}"
input = { papers = ["{{ receipts.open_ticket.ticket }}", "{{ receipts.send_letter.letter }}"] }
call = { url = "https://files.example.com/v1/files", json = { papers = "{{ input.papers }}" }, timeout = "1s" }
in_doubt = { policy = "same-key", window = "24h" }
"#;

pub(crate) async fn with(steps: &'static str) -> Result<Stack> {
    stack_with(|config| add_steps(config, steps)).await
}

/// Paths of the applied calls, in order.
pub(crate) fn applied(stack: &Stack) -> Vec<String> {
    stack.third_party.ledger().applied().iter().map(|call| call.path.clone()).collect()
}

pub(crate) async fn status_of(stack: &Stack, step: &str) -> Result<String> {
    let effects = stack.effects().await?;
    let found = effects.iter().find(|effect| effect.step == step);
    Ok(found.with_context(|| format!("{step} has no record"))?.status.clone())
}

/// The parked effect.
pub(crate) async fn parked(stack: &Stack) -> Result<Effect> {
    stack.effects().await?.into_iter().find(Effect::is_parked).context("nothing is parked")
}

fn only<'a>(calls: &[&'a Call]) -> &'a Call {
    let [call] = calls else { panic!("{calls:?}") };
    call
}

#[tokio::test]
async fn three_steps_follow_each_other_in_one_run_of_the_consumer() -> Story {
    let stack = with(CHAIN).await?;
    let webhook = dispute()?;
    assert_eq!(deliver(&stack, &webhook).await?.len(), 1, "only the first is routed");
    let run = stack.run_consumer().await?;
    assert_eq!((run.done, run.received, run.from_agenda), (3, 1, 2));
    assert_eq!(applied(&stack), [TICKETS, EMAILS, FILES]);
    let ledger = stack.third_party.ledger();
    // From the agenda, each would start a second later.
    let took = ledger.attempts_on(FILES)[0].at.duration_since(ledger.attempts_on(TICKETS)[0].at);
    assert!(took.as_millis() < 2000, "nothing waits for the agenda: {took:?}");
    let (email, file) = (only(&ledger.attempts_on(EMAILS)), only(&ledger.attempts_on(FILES)));
    let charge = webhook.json()["data"]["object"]["charge"].as_str().context("a charge")?.to_owned();
    assert_eq!(email.body, json!({ "subject": format!("tp_1 about {charge}") }));
    assert_eq!(file.body, json!({ "papers": ["tp_1", "tp_2"] }), "what was kept of both");
    let event = webhook.json()["id"].as_str().context("an id")?.to_owned();
    assert_eq!(file.key, Some(format!("stripe.{event}:open_file:{charge}")), "the same run");
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_redelivery_begins_nothing_again() -> Story {
    let stack = with(CHAIN).await?;
    for _ in 0..2 {
        deliver(&stack, &dispute()?).await?;
        settle(&stack).await?;
    }
    assert_eq!(applied(&stack), [TICKETS, EMAILS, FILES]);
    assert_eq!(stack.third_party.ledger().attempts().len(), 3);
    Ok(stack.finish().await?)
}

/// A message does not grow, and the later steps' input from the event waits in the table.
#[tokio::test]
async fn input_too_large_for_the_broker_arrives_whole_at_every_step() -> Story {
    let stack = stack_with(|config| {
        add_steps(config, CHAIN);
        for step in ["open_ticket", "open_file"] {
            let story = "{{ event.data.object.story }}";
            setup::table(config.step(step), "input").insert("story".into(), story.into());
            let call = setup::table(config.step(step), "call");
            setup::table(call, "json").insert("story".into(), "{{ input.story }}".into());
        }
    })
    .await?;
    let story = "A long story. ".repeat(30_000);
    let webhook = dispute()?.edited(|event| event["data"]["object"]["story"] = story.clone().into());
    deliver(&stack, &webhook).await?;
    settle(&stack).await?;
    assert_eq!(applied(&stack), [TICKETS, EMAILS, FILES]);
    let fetches = |seen: &Seen| seen.is("GetItem") && seen.mentions(":claimcheck:");
    if let Ok(proxy) = stack.table_proxy() {
        assert_eq!(proxy.seen_where(fetches).len(), 3, "once per attempt, before the call");
    }
    let ledger = stack.third_party.ledger();
    for path in [TICKETS, FILES] {
        assert!(only(&ledger.attempts_on(path)).body["story"] == story, "{path}");
    }
    if let Ok(table) = stack.table() {
        let kept = table.scan().await?;
        let chunks = kept.iter().filter(|item| item["run_id"].as_str().unwrap().starts_with(":claimcheck"));
        assert_eq!(chunks.count(), 0, "thrown away once it is done");
    }
    Ok(stack.finish().await?)
}
