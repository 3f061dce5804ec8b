//! A pause: webhooks are accepted, nothing is called, and no deployment ends it.

use anyhow::Result;
use driftq_webhooks::effects::pause::Pause;
use jiff::Timestamp;
use local::{proxy::Fault, stack::Stack};

use crate::{
    guard::table_at,
    setup::{Story, TICKETS, deliver, dispute, dispute_about, settle, stack},
};

async fn pause(stack: &Stack) -> Result<()> {
    let (by, note) = ("ada".to_owned(), "their API double-books".to_owned());
    let pause = Pause { since: Timestamp::now(), by, note };
    Ok(table_at(stack.table()?.url(), stack.table()?.table()).await?.pauses().begin(&pause).await?)
}

async fn resume(stack: &Stack) -> Result<()> {
    let pauses = table_at(stack.table()?.url(), stack.table()?.table()).await?.pauses();
    assert!(pauses.current().await?.is_some_and(|pause| pause.by == "ada"));
    pauses.end().await?;
    Ok(pauses.end().await?)
}

#[tokio::test]
async fn a_paused_consumer_calls_nothing_and_loses_nothing() -> Story {
    let stack = stack().await?;
    pause(&stack).await?;
    deliver(&stack, &dispute()?).await?;
    for _ in 0..2 {
        let run = stack.run_consumer().await?;
        assert_eq!((run.outcome.as_str(), run.received, run.done), ("paused", 0, 0));
    }
    assert_eq!(stack.third_party.ledger().attempts_on(TICKETS).len(), 0);
    // A deployment: other variables, and new processes.
    stack.deploy(&[("COMMAND_SIGNATURES", "optional")]);
    deliver(&stack, &dispute_about("dp_deployed")?).await?;
    assert_eq!(stack.run_consumer().await?.outcome, "paused");
    resume(&stack).await?;
    settle(&stack).await?;
    assert_eq!(stack.third_party.ledger().attempts_on(TICKETS).len(), 2);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_run_that_can_not_know_does_nothing() -> Story {
    let stack = stack().await?;
    deliver(&stack, &dispute()?).await?;
    let table = stack.table_proxy()?;
    table.always(|seen| seen.is("GetItem") && seen.mentions("\":pause\""), Fault::CutBefore);
    assert!(stack.run_consumer().await.is_err());
    assert_eq!(stack.third_party.ledger().attempts_on(TICKETS).len(), 0);
    table.heal();
    settle(&stack).await?;
    Ok(stack.finish().await?)
}
