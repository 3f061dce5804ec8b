//! What an ack commits: a commit is a high-water mark, so a lower unacked message is lost if the broker restarts. Each test kills broker and consumer
//! at the moment when that would show.

use local::{http::Answer, proxy::Fault, stack::Stack, third_party::Behaviour};

use super::{
    ack, deliver_all, is_not_ours_to_kill, name_in, once_each, power_cut, side_by_side, stack_of, tickets,
};
use crate::setup::{PATIENCE, Story, TICKETS, settle};

#[tokio::test]
async fn a_message_that_is_done_is_not_acked_before_a_lower_one_of_its_partition() -> Story {
    let stack = stack_of(2, "400ms").await?;
    if is_not_ours_to_kill(&stack) {
        return Ok(stack.finish().await?);
    }
    let name = |partition, name: &str| name_in(partition, 2, name);
    let [low, high] = [name(0, "low"), name(0, "high")];
    let beacons = [name(1, "first"), name(1, "second")];
    // Neither its claim nor its hand-over can be recorded: only its message covers it.
    let claimed = stack.table_proxy()?.once(|seen| seen.is("PutItem"), Fault::HangBefore);
    deliver_all(&stack, &[&low]).await?;
    let story = async {
        claimed.within(PATIENCE).await?;
        deliver_all(&stack, &[&high]).await?;
        // A beacon's ack shows that acks are being sent, and a second one that all ready ones have been sent.
        for beacon in &beacons {
            let acked =
                stack.broker_proxy.once(|seen| ack(seen) && seen.json()["partition"] == 1, Fault::Pass);
            deliver_all(&stack, &[beacon]).await?;
            acked.within(PATIENCE).await?;
        }
        power_cut(&stack).run().await;
        anyhow::Ok(())
    };
    let (killed, told) = tokio::join!(stack.run_consumer(), story);
    told?;
    assert!(killed.is_err_and(|error| error.is_death()));
    settle(&stack).await?;
    assert_eq!(tickets(&stack), once_each(&[&low, &high, &beacons[0], &beacons[1]]));
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn first_acks_pass_over_nothing_that_a_dead_consumer_held() -> Story {
    high_after_low(stack_of(1, "400ms").await?).await
}

#[tokio::test]
async fn first_acks_pass_over_nothing_without_the_brokers_metrics() -> Story {
    let pages = [Answer::html(404), Answer::status(200).with_body("consumer_lag{topic=\"t\"} 7\n")];
    let stories = pages.map(async |page| {
        let stack = stack_of(1, "400ms").await?;
        stack.broker_proxy.always(|seen| seen.goes_to("GET", "/metrics"), Fault::Answer(page));
        high_after_low(stack).await
    });
    side_by_side(stories).await
}

async fn high_after_low(stack: Stack) -> Story {
    if is_not_ours_to_kill(&stack) {
        return Ok(stack.finish().await?);
    }
    let kill = stack.consumer.killer().hook();
    stack.third_party.script(TICKETS, [Behaviour::hang().with_hook(kill)]);
    deliver_all(&stack, &["low"]).await?;
    assert!(stack.run_consumer().await.is_err_and(|error| error.is_death()));
    // The next consumer gets this one at once, and the lower one only later (docs/driftq-contract.md, A5).
    deliver_all(&stack, &["high"]).await?;
    let cut = stack.broker_proxy.once(ack, Fault::HookAfter(power_cut(&stack)));
    settle(&stack).await?;
    assert_eq!(cut.count(), 1);
    assert_eq!(tickets(&stack), once_each(&["low", "high"]));
    Ok(stack.finish().await?)
}
