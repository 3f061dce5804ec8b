//! A claimed effect stays on the agenda, due when the claim's lease ends: the record may be the only copy of the command.

use local::{
    hook::Hook,
    proxy::{Fault, Seen},
    stack::Stack,
    third_party::Behaviour,
};

use crate::{
    drain::is_not_ours_to_kill,
    setup::{Story, TICKETS, deliver, dispute, only_effect, settle, stack},
};

fn claims_again(seen: &Seen) -> bool {
    seen.is("UpdateItem") && seen.mentions(":untried")
}

fn takes_over(seen: &Seen) -> bool {
    seen.is("UpdateItem") && seen.mentions("did not report back")
}

/// Kills the consumer, and loses all messages in the topic.
fn disaster(stack: &Stack) -> Hook {
    let (consumer, broker) = (stack.consumer.killer(), stack.broker.clone());
    Hook::new(move || {
        let (consumer, broker) = (consumer.clone(), broker.clone());
        async move {
            broker.wipe().await.expect("the broker is ours, and starts again");
            consumer.kill().await;
        }
    })
}

/// The effect was deferred, so it is only in the table. Then the second attempt dies, and so does the third, which takes
/// over.
#[tokio::test]
async fn an_effect_whose_claims_die_comes_due_again_without_its_message() -> Story {
    let stack = stack().await?;
    if is_not_ours_to_kill(&stack) {
        return Ok(stack.finish().await?);
    }
    stack.third_party.script(TICKETS, [Behaviour::refuse(429)]);
    let table = stack.table_proxy()?;
    let second = table.once(claims_again, Fault::HookAfter(disaster(&stack)));
    let third = table.once(takes_over, Fault::HookAfter(disaster(&stack)));
    deliver(&stack, &dispute()?).await?;
    let settling = settle(&stack).await?;
    assert_eq!((settling.deaths(), second.count(), third.count()), (2, 1, 1));
    assert!(only_effect(&stack).await?.is_done());
    assert_eq!(stack.third_party.ledger().applied().len(), 1);
    Ok(stack.finish().await?)
}
