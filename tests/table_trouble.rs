//! Trouble with DynamoDB, at each request of the protocol and of each kind: throttling, errors, requests and answers that
//! are lost, answers that never come. Nothing is lost, and nothing is applied twice.

use anyhow::{Context, Result};
use futures_util::{StreamExt, TryStreamExt, stream};
use local::{
    http::Answer,
    proxy::{Fault, Seen},
    third_party::Behaviour,
};

use crate::house::{TICKETS, deliver, dispute, only_effect, settle, stack};

type Matches = fn(&Seen) -> bool;

/// An update that sets this status.
fn sets(seen: &Seen, status: &str) -> bool {
    seen.is("UpdateItem") && seen.json()["ExpressionAttributeValues"][":status"]["S"] == status
}

const REQUESTS: [(&str, Matches); 6] = [
    ("claim", |seen| seen.is("PutItem")),
    ("defer", |seen| sets(seen, "waiting")),
    ("relay", |seen| seen.is("UpdateItem") && seen.json()["UpdateExpression"] == "SET #due_at = :due_at"),
    ("claim again", |seen| sets(seen, "in_progress")),
    ("commit", |seen| sets(seen, "done")),
    ("agenda", |seen| seen.is("Query")),
];

fn faults() -> [(&'static str, usize, Fault); 6] {
    [
        ("throttled twice", 2, Fault::Answer(Answer::throttled())),
        ("500", 1, Fault::Answer(Answer::status(500))),
        ("lost request", 1, Fault::CutBefore),
        ("lost answer", 1, Fault::CutAfter),
        ("no answer", 1, Fault::HangAfter),
        // More than the SDK tries: the operation fails, and another run has to make up for it.
        ("throttled for long", 6, Fault::Answer(Answer::throttled())),
    ]
}

/// A call that is refused once and then applied, so that every request of the protocol is made.
async fn story(request: (&str, Matches), (name, times, fault): (&str, usize, Fault)) -> Result<()> {
    let stack = stack().await?;
    stack.third_party.script(TICKETS, [Behaviour::refuse(429)]);
    let struck = stack.table_wire()?.times(times, request.1, fault);
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    anyhow::ensure!(struck.count() > 0, "the request was never made");
    let ledger = stack.third_party.ledger();
    let effect = only_effect(&stack).await?;
    anyhow::ensure!(effect.is_done(), "{} after {name}: {effect:?}", request.0);
    anyhow::ensure!(ledger.applied().len() == 1, "applied {} times", ledger.applied().len());
    stack.finish().await
}

#[tokio::test]
async fn every_request_survives_every_fault() -> Result<()> {
    let stories = REQUESTS.into_iter().flat_map(|request| faults().map(|fault| (request, fault)));
    let told = stream::iter(stories).map(|(request, fault)| async move {
        let name = format!("{}: {}", request.0, fault.0);
        story(request, fault).await.context(name)
    });
    let told: Vec<()> = told.buffer_unordered(8).try_collect().await?;
    println!("{} stories", told.len());
    Ok(())
}

#[tokio::test]
async fn a_commit_that_can_not_be_recorded_leaves_the_message_unacked_and_the_effect_in_doubt() -> Result<()>
{
    let stack = stack().await?;
    let commit = |seen: &Seen| sets(seen, "done");
    stack.table_wire()?.always(commit, Fault::Answer(Answer::throttled()));
    deliver(&stack, &dispute()?).await?;
    let run = stack.run_consumer().await?;
    assert_eq!((run.received, run.done, run.unacked), (1, 0, 1));
    assert_eq!(stack.unacked().await?, 1);
    stack.table_wire()?.heal();
    settle(&stack).await?;
    let ledger = stack.third_party.ledger();
    assert_eq!((ledger.applied().len(), ledger.deduped().len()), (1, 1), "asked again with the same key");
    stack.finish().await
}
