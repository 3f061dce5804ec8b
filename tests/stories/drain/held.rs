//! Holding two messages does not prove that nothing else is in flight: a newer broker delivers 32 of a partition. A dead consumer's stream, which the
//! broker believes open, holds 18 of 21 webhooks when the broker loses its memory.

use std::time::Duration;

use local::{
    broker::Profile,
    http::Answer,
    proxy::{Fault, Seen},
};

use super::{
    ack, consumes, deliver_all, is_not_ours_to_kill, once_each, power_cut, shared::leave_stream, tickets,
};
use crate::setup::{PATIENCE, Story, builder, config};

fn asks_for_metrics(seen: &Seen) -> bool {
    seen.goes_to("GET", "/metrics")
}

/// A request for what is in flight, or what may be acked.
fn asks(seen: &Seen) -> bool {
    asks_for_metrics(seen) || ack(seen)
}

#[tokio::test]
async fn what_a_newer_brokers_dead_stream_holds_is_not_passed_over() -> Story {
    nothing_is_passed_over(|_| false).await
}

/// Without metrics, the broker checks each ack itself.
#[tokio::test]
async fn a_newer_brokers_dead_stream_is_not_passed_over_without_metrics() -> Story {
    nothing_is_passed_over(asks_for_metrics).await
}

/// A broker whose limit has been raised: it does not report it, and does not ack cumulatively.
#[tokio::test]
async fn a_newer_brokers_dead_stream_is_not_passed_over_if_its_limit_is_not_known() -> Story {
    nothing_is_passed_over(|seen| ["/v1/config", "/v1/ack-cumulative"].contains(&seen.path.as_str())).await
}

/// With a broker that does not have these routes.
async fn nothing_is_passed_over(lacks: fn(&Seen) -> bool) -> Story {
    let builder = builder(config()?)?.broker_profile(Profile::G3);
    let stack = builder.env("DRIFTQ_PARTITIONS", "1").env("IDLE_EXIT", "2s").start().await?;
    if is_not_ours_to_kill(&stack) {
        return Ok(stack.finish().await?);
    }
    stack.broker_proxy.always(lacks, Fault::Answer(Answer::status(404).with_body("404 page not found\n")));
    leave_stream(&stack).await?;
    let names: Vec<_> = (1..=20).map(|number| format!("dp_{number}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let (dead, by_turns) = names.split_at(16);
    deliver_all(&stack, dead).await?;

    let opened = stack.broker_proxy.once(consumes, Fault::Pass);
    let story = async {
        opened.within(PATIENCE).await?;
        // The dead stream and the living one get two messages each.
        deliver_all(&stack, by_turns).await?;
        stack.third_party.until(PATIENCE, |ledger| ledger.applied().len() >= 3).await?;
        // At the second request, the consumer has the response to the first. A consumer without such requests would have
        // acked by then.
        for _ in 0..2 {
            let _ = stack.broker_proxy.once(asks, Fault::Pass).within(Duration::from_secs(1)).await;
        }
        power_cut(&stack).run().await;
        anyhow::Ok(())
    };
    let (settling, told) = tokio::join!(stack.run_until_settled(3 * PATIENCE), story);
    told?;
    settling?;
    assert_eq!(tickets(&stack), once_each(&[&["first"], &names[..]].concat()));
    assert_eq!(stack.third_party.ledger().attempts().len(), 21);
    Ok(stack.finish().await?)
}
