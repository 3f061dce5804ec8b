//! What stops a chain: a condition that does not hold, and a step that is parked.

use local::{proxy::Fault, third_party::Behaviour};
use serde_json::json;

use super::{CHAIN, EMAILS, FILES, JOIN, LETTERS, applied, parked, status_of, with};
use crate::{
    decisions::decide,
    setup::{
        Story, TICKETS, add_steps, deliver, dispute, only_effect, park_in_doubt, settle, stack_with, table,
    },
};

#[tokio::test]
async fn a_condition_on_a_receipt_skips_the_step_and_all_that_comes_after() -> Story {
    let stack = stack_with(|config| {
        add_steps(config, CHAIN);
        let when = "receipts.open_ticket.ticket != 'tp_1' or input.charge == ''";
        config.step("email_customer").insert("when".into(), when.into());
    })
    .await?;
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    assert_eq!(applied(&stack), [TICKETS]);
    let email = stack.effects().await?.into_iter().find(|effect| effect.step == "email_customer").unwrap();
    assert_eq!(
        (email.status.as_str(), email.last_error()),
        ("skipped", "steps.email_customer.when does not hold")
    );
    assert_eq!(status_of(&stack, "open_file").await?, "skipped");
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_skipped_predecessor_of_two_skips_the_join() -> Story {
    let stack = stack_with(|config| {
        add_steps(config, JOIN);
        let letter = config.step("send_letter");
        letter.remove("on");
        letter.insert("after".into(), "open_ticket".into());
        letter.insert("when".into(), "receipts.open_ticket.ticket == ''".into());
    })
    .await?;
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    assert_eq!(applied(&stack), [TICKETS]);
    assert_eq!(status_of(&stack, "open_file").await?, "skipped");
    Ok(stack.finish().await?)
}

/// A step that does not want the event has no record, as usual.
#[tokio::test]
async fn a_condition_on_the_event_leaves_a_step_and_what_comes_after_it_out() -> Story {
    let stack = stack_with(|config| {
        add_steps(config, CHAIN);
        config.step("email_customer").insert("when".into(), "event.data.object.amount < 0".into());
    })
    .await?;
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    assert_eq!((applied(&stack).len(), stack.effects().await?.len()), (1, 1));
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_parked_step_stops_what_comes_after_until_it_is_done() -> Story {
    let stack = with(CHAIN).await?;
    stack.third_party.script(EMAILS, [Behaviour::refuse(422)]);
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    assert_eq!(applied(&stack), [TICKETS]);
    let email = parked(&stack).await?;
    assert_eq!(decide(&stack, &email, "retry").await?.status, 200);
    settle(&stack).await?;
    assert_eq!(applied(&stack), [TICKETS, EMAILS, FILES]);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn an_answer_without_what_comes_next_needs_parks_the_next_step() -> Story {
    let stack = stack_with(|config| {
        add_steps(config, CHAIN);
        let receipt = table(table(config.step("open_ticket"), "call"), "receipt");
        receipt.insert("ticket".into(), "{{ response.json.number }}".into());
    })
    .await?;
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    assert_eq!(applied(&stack), [TICKETS]);
    let email = stack.effects().await?.into_iter().find(|effect| effect.step == "email_customer").unwrap();
    assert_eq!(
        (email.status.as_str(), email.last_error()),
        ("parked", "steps.email_customer.input.subject: receipts.open_ticket.ticket is missing")
    );
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_join_waits_for_a_parked_predecessor_and_goes_on_when_it_is_done() -> Story {
    let stack = with(JOIN).await?;
    stack.third_party.script(LETTERS, [Behaviour::refuse(422)]);
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    assert_eq!(status_of(&stack, "open_file").await?, "awaiting");
    let letter = parked(&stack).await?;
    assert_eq!(decide(&stack, &letter, "not_applied").await?.status, 200);
    settle(&stack).await?;
    assert_eq!(applied(&stack), [TICKETS, LETTERS, FILES]);
    Ok(stack.finish().await?)
}

/// An operator who has checked at the third party enters the receipt: later steps need it.
#[tokio::test]
async fn an_operator_who_says_that_it_was_applied_tells_the_receipt_and_frees_what_comes_after() -> Story {
    let stack = stack_with(|config| {
        add_steps(config, CHAIN);
        park_in_doubt(config, "open_ticket");
    })
    .await?;
    stack.third_party.script(TICKETS, [Behaviour::hang().after_applying()]);
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    let ticket = only_effect(&stack).await?;
    let refused = decide(&stack, &ticket, "applied").await?;
    assert_eq!(refused.status, 422);
    let why = refused.json()["detail"].as_str().unwrap_or_default().to_owned();
    assert_eq!(why, "receipt: later steps use ticket; look there, and say what was given");
    assert_eq!(only_effect(&stack).await?.status, "parked");
    let body = json!({
        "effect_id": ticket.effect_id, "attempt": ticket.attempt, "decision": "applied", "note": "Ann: I looked",
        "receipt": { "ticket": "tp_7" },
    });
    // The transaction's response is lost, and the transaction is sent again.
    stack.table_proxy()?.once(|seen| seen.is("TransactWriteItems"), Fault::CutAfter);
    let decided = stack.post_json(&format!("/runs/{}/decide", ticket.run_id), &[], &body).await?;
    assert_eq!((decided.status, &decided.json()["status"]), (200, &json!("done")));
    assert_eq!(decided.json()["receipt"]["fields"]["ticket"], "tp_7");
    settle(&stack).await?;
    assert_eq!(applied(&stack), [TICKETS, EMAILS, FILES]);
    let ledger = stack.third_party.ledger();
    assert_eq!(ledger.attempts_on(FILES)[0].body["papers"], json!(["tp_7", "tp_2"]));
    Ok(stack.finish().await?)
}
