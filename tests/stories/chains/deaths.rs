//! The consumer killed between the steps of a chain, and lost requests between them.

use std::collections::BTreeSet;

use anyhow::Result;
use local::{
    http::Answer,
    proxy::{Fault, Seen},
    stack::Stack,
    third_party::Behaviour,
};
use serde_json::json;

use super::{CHAIN, EMAILS, FILES, applied, with};
use crate::{
    rows::{self, COUNT},
    setup::{Story, TICKETS, counted, deliver, dispute, settle},
};

/// How often the SDK sends a request at most.
const SENT_BY_SDK: usize = 4;

fn advances(seen: &Seen) -> bool {
    seen.is("TransactWriteItems")
}

/// Delivers a dispute, and settles it, with this fault in the transaction between the first step and the second.
async fn struck(stack: &Stack, fault: Fault) -> Result<usize> {
    let hits = stack.table_proxy()?.once(advances, fault);
    deliver(stack, &dispute()?).await?;
    let settling = settle(stack).await?;
    assert_eq!(hits.count(), 1);
    assert_eq!(applied(stack), [TICKETS, EMAILS, FILES]);
    Ok(settling.deaths())
}

#[tokio::test]
async fn killed_before_the_transaction_the_first_step_is_in_doubt_and_nothing_has_begun() -> Story {
    let stack = with(CHAIN).await?;
    let kill = stack.consumer.killer().hook();
    assert_eq!(struck(&stack, Fault::HookInstead(kill)).await?, 1);
    assert_eq!(stack.third_party.ledger().deduped().len(), 1, "the ticket, by its key");
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn killed_after_the_transaction_the_next_step_is_on_the_agenda() -> Story {
    for once_answered in [false, true] {
        let stack = with(CHAIN).await?;
        let kill = stack.consumer.killer().hook();
        let fault = if once_answered { Fault::HookOnceAnswered(kill) } else { Fault::HookAfter(kill) };
        assert_eq!(struck(&stack, fault).await?, 1);
        let ledger = stack.third_party.ledger();
        assert_eq!(ledger.attempts_on(TICKETS).len(), 1, "it is done, and on record");
        stack.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn killed_in_every_call_of_a_chain_each_is_applied_once() -> Story {
    let stack = with(CHAIN).await?;
    for path in [TICKETS, EMAILS, FILES] {
        let kill = stack.consumer.killer().hook();
        stack.third_party.script(path, [Behaviour::apply().with_hook(kill)]);
    }
    deliver(&stack, &dispute()?).await?;
    assert_eq!(settle(&stack).await?.deaths(), 3);
    assert_eq!(applied(&stack), [TICKETS, EMAILS, FILES]);
    assert_eq!(stack.third_party.ledger().deduped().len(), 3);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_transaction_whose_answer_is_lost_is_recognised() -> Story {
    let stack = with(CHAIN).await?;
    assert_eq!(struck(&stack, Fault::CutAfter).await?, 0);
    assert_eq!(stack.third_party.ledger().attempts().len(), 3);
    Ok(stack.finish().await?)
}

/// DynamoDB's response to a transaction that is sent again while it is being applied.
fn in_progress() -> Answer {
    Answer::of_json(
        400,
        &json!({
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionInProgressException",
            "Message": "The transaction with the given request token is already in progress.",
        }),
    )
}

/// The SDK retries a limited number of times. A later try is a new transaction with another token, and finds what the first one has written.
#[tokio::test]
async fn a_transaction_that_meets_itself_is_recognised() -> Story {
    for steps in [CHAIN, COUNT] {
        let stack = if steps == COUNT { rows::stack(COUNT).await? } else { with(CHAIN).await? };
        let proxy = stack.table_proxy()?;
        let applied = proxy.once(advances, Fault::AnswerAfter(in_progress()));
        proxy.times(SENT_BY_SDK - 1, advances, Fault::Answer(in_progress()));
        deliver(&stack, &dispute()?).await?;
        let settling = settle(&stack).await?;
        assert_eq!((applied.count(), settling.total(|run| run.duplicates)), (1, 0));
        let tokens = proxy
            .seen_where(advances)
            .iter()
            .filter_map(|seen| seen.json()["ClientRequestToken"].as_str().map(str::to_owned))
            .collect::<BTreeSet<_>>();
        assert!(tokens.len() >= 2, "{tokens:?}");
        if steps == COUNT {
            assert_eq!(counted(&stack, "charges").await?.into_values().collect::<Vec<_>>(), ["1"]);
        } else {
            assert_eq!(stack.third_party.ledger().attempts().len(), 3);
        }
        stack.finish().await?;
    }
    Ok(())
}

/// DynamoDB's response when another write to one of the items is in progress.
fn conflict() -> Answer {
    Answer::of_json(
        400,
        &json!({
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "Message": "Transaction cancelled, please refer cancellation reasons for specific reasons [TransactionConflict, None]",
            "CancellationReasons": [
                { "Code": "TransactionConflict", "Message": "Transaction is ongoing for the item" },
                { "Code": "None" },
            ],
        }),
    )
}

#[tokio::test]
async fn a_transaction_that_meets_another_one_is_tried_again() -> Story {
    let stack = with(CHAIN).await?;
    assert_eq!(struck(&stack, Fault::Answer(conflict())).await?, 0);
    assert_eq!(stack.third_party.ledger().attempts().len(), 3);
    Ok(stack.finish().await?)
}
