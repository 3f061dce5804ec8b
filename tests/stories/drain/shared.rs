//! A consumer is gone, but its FIN was lost: the broker believes its stream open, and continues to send messages to it.

use std::time::Duration;

use anyhow::Result;
use local::{
    proxy::{Fault, Hits, Seen},
    stack::Stack,
};

use super::{ack, consumes, deliver_all, is_not_ours_to_kill, once_each, power_cut, stack_of, tickets};
use crate::setup::{PATIENCE, Story};

/// Longer than two leases: a message that went to the dead stream goes to the living one the next time.
const IDLE_EXIT: &str = "10s";

/// Leaves a half-open stream that holds nothing yet.
pub(super) async fn leave_stream(stack: &Stack) -> Result<()> {
    stack.broker_proxy.once(consumes, Fault::HalfOpen);
    stack.broker_proxy.once(ack, Fault::HookAfter(stack.consumer.killer().hook()));
    deliver_all(stack, &["first"]).await?;
    assert!(stack.run_consumer().await.is_err_and(|error| error.is_death()));
    // Its stream lease has to end before the next one can open a stream. On a busy machine such a short run may be killed.
    let opens = || stack.run_consumer_within(Duration::from_millis(2500));
    while !opens().await.is_ok_and(|run| run.outcome != "busy") {}
    Ok(())
}

/// Makes the next streams' leases shorter than the dead one's. With equal leases the same message could go to the dead stream every time, for long.
fn shorten_leases(stack: &Stack) -> Hits {
    stack.broker_proxy.always(consumes, Fault::Query("lease_ms", "3400".into()))
}

#[tokio::test]
async fn what_a_dead_consumers_stream_is_dealt_is_done_in_the_end() -> Story {
    let stack = stack_of(4, IDLE_EXIT).await?;
    leave_stream(&stack).await?;
    shorten_leases(&stack);
    let names = ["a", "b", "c", "d", "e"];
    // As many as fit are sent to the dead stream.
    deliver_all(&stack, &names).await?;
    let settling = stack.run_until_settled(3 * PATIENCE).await?;
    assert_eq!(settling.total(|run| run.done), 5);
    assert_eq!(tickets(&stack), once_each(&["first", "a", "b", "c", "d", "e"]));
    assert_eq!(stack.third_party.ledger().attempts().len(), 6);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn what_a_dead_consumers_stream_was_dealt_is_not_passed_over_by_an_ack() -> Story {
    let stack = stack_of(1, IDLE_EXIT).await?;
    if is_not_ours_to_kill(&stack) {
        return Ok(stack.finish().await?);
    }
    leave_stream(&stack).await?;
    // Offset 0 was `first`. The streams alternate, so b and c go to the living stream while a lower message is at the dead one: b after a, or c
    // after b.
    for offset in [2, 3] {
        let is_it = move |seen: &Seen| ack(seen) && seen.json()["offset"] == offset;
        stack.broker_proxy.once(is_it, Fault::HookAfter(power_cut(&stack)));
    }
    let opened = shorten_leases(&stack);
    let story = async {
        opened.within(PATIENCE).await?;
        deliver_all(&stack, &["a", "b", "c"]).await
    };
    let (settling, told) = tokio::join!(stack.run_until_settled(3 * PATIENCE), story);
    told?;
    settling?;
    assert_eq!(tickets(&stack), once_each(&["first", "a", "b", "c"]));
    Ok(stack.finish().await?)
}
