//! `journal = true`: even the loss of the broker's disk loses nothing.

use anyhow::Result;
use local::{hook::Hook, proxy::Fault, stack::Stack};

use crate::{
    requests::is_of_a_run,
    setup::{Story, deliver, dispute, dispute_about, settle, stack_with},
};

async fn stack() -> Result<Stack> {
    stack_with(|config| drop(config.table().insert("journal".into(), true.into()))).await
}

/// Whether the broker is ours: only then can it lose its disk.
fn can_lose_its_disk(stack: &Stack) -> bool {
    if stack.broker.is_external() {
        println!("skipped: the broker of DRIFTQ_HTTP_URL is not ours to wipe");
    }
    !stack.broker.is_external()
}

#[tokio::test]
async fn commands_that_the_broker_lost_before_the_consumer_came_are_done_all_the_same() -> Story {
    let stack = stack().await?;
    if !can_lose_its_disk(&stack) {
        return Ok(stack.finish().await?);
    }
    for number in 0..5 {
        deliver(&stack, &dispute_about(&format!("dp_{number}"))?).await?;
    }
    stack.broker.wipe().await?;
    let settling = settle(&stack).await?;
    assert_eq!(settling.total(|run| run.from_agenda), 5);
    assert_eq!(stack.third_party.ledger().attempts().len(), 5);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_command_that_the_broker_lost_while_its_consumer_was_killed_is_done_all_the_same() -> Story {
    let stack = stack().await?;
    if !can_lose_its_disk(&stack) {
        return Ok(stack.finish().await?);
    }
    let (kill, broker) = (stack.consumer.killer(), stack.broker.clone());
    let disaster = Hook::new(move || {
        let (kill, broker) = (kill.clone(), broker.clone());
        async move {
            broker.wipe().await.expect("the broker starts again");
            kill.kill().await;
        }
    });
    let claim = |seen: &local::proxy::Seen| seen.mentions("in_progress") && seen.mentions(":untried");
    stack.table_proxy()?.once(claim, Fault::HookAfter(disaster));
    deliver(&stack, &dispute()?).await?;
    let settling = settle(&stack).await?;
    assert_eq!(settling.deaths(), 1);
    assert_eq!(stack.third_party.ledger().attempts().len(), 1);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn it_costs_one_write_more_and_no_second_call() -> Story {
    let stack = stack().await?;
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    let writes = stack.table_proxy()?.seen_where(|seen| !is_of_a_run(seen));
    assert_eq!(writes.len(), 3);
    assert_eq!(stack.third_party.ledger().attempts().len(), 1);
    Ok(stack.finish().await?)
}
