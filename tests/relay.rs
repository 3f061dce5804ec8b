//! What the relay has published, and nobody has settled by the end of its run, is put off: it is published again only when
//! it comes due again.

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use local::{
    http::Answer,
    proxy::{Fault, Seen},
    stack::Stack,
    third_party::Behaviour,
};

use crate::house::{
    TICKETS, builder, config, consumes, deliver, dispute, lost_by_broker, only_effect, produces, settle,
    stack, table,
};

/// Longer than any story here takes.
const NEVER: &str = "10m";

pub(crate) fn puts_off(seen: &Seen) -> bool {
    seen.is("UpdateItem") && seen.mentions("#due_at = :seen")
}

fn renews_stream(seen: &Seen) -> bool {
    seen.mentions(":stream") && !seen.json()["UpdateExpression"].to_string().contains("#owner")
}

/// A dispute that the broker did not take: it is due at once.
async fn deliver_refused(stack: &Stack) -> Result<()> {
    stack.broker_wire.once(produces, Fault::Answer(Answer::partition_full()));
    deliver(stack, &dispute()?).await.map(drop)
}

/// When the effect comes due, in ms since 1970.
async fn due_at(stack: &Stack) -> Result<i64> {
    only_effect(stack).await?.record["due_at"].as_i64().context("it is not due")
}

/// The only command is put off, and published once more when it comes due again, however many runs there are before that.
async fn is_put_off_and_published_again(stack: &Stack, since: Timestamp, published: usize) -> Result<()> {
    let due = due_at(stack).await?;
    ensure!(due >= since.as_millisecond() + 4_000, "{due} is too early, the run began at {since}");
    assert_eq!(stack.broker_wire.seen_where(produces).len(), published);
    let settling = settle(stack).await?;
    assert_eq!((settling.total(|run| run.relayed), settling.total(|run| run.done)), (1, 1));
    let produced = stack.broker_wire.seen_where(produces);
    assert_eq!(produced.len(), published + 1, "once more, in {} runs", settling.runs.len());
    ensure!(produced[published].at.as_millisecond() >= due, "{produced:?} before {due}");
    assert_eq!(stack.third_party.ledger().applied().len(), 1);
    Ok(())
}

#[tokio::test]
async fn what_the_broker_loses_is_published_again_after_the_grace_and_not_at_every_run() -> Result<()> {
    let stack = stack().await?;
    // Makes the topic.
    stack.run_consumer().await?;
    deliver_refused(&stack).await?;
    stack.broker_wire.once(produces, lost_by_broker());
    let since = Timestamp::now();
    let run = stack.run_consumer().await?;
    assert_eq!((run.outcome.as_str(), run.relayed, run.received), ("drained", 1, 0));
    is_put_off_and_published_again(&stack, since, 2).await?;
    assert_eq!(stack.table_wire()?.seen_where(puts_off).len(), 1);
    stack.finish().await
}

/// A copy that counts fewer attempts says nothing about what was published.
#[tokio::test]
async fn a_copy_of_an_earlier_attempt_does_not_stand_for_what_was_relayed() -> Result<()> {
    let stack = stack().await?;
    stack.run_consumer().await?;
    stack.third_party.script(TICKETS, [Behaviour::refuse(429)]);
    deliver(&stack, &dispute()?).await?;
    assert_eq!(stack.run_consumer().await?.deferred, 1);
    deliver(&stack, &dispute()?).await?;
    stack.broker_wire.once(produces, lost_by_broker());
    let since = Timestamp::now();
    let run = stack.run_consumer().await?;
    assert_eq!((run.relayed, run.received, run.duplicates), (1, 1, 1));
    is_put_off_and_published_again(&stack, since, 3).await?;
    stack.finish().await
}

#[tokio::test]
async fn what_there_is_no_time_for_is_not_published_again_on_top_of_what_is_in_the_topic() -> Result<()> {
    let mut config = config()?;
    table(config.table(), "consumer").insert("relay_grace".into(), NEVER.into());
    table(config.step("open_ticket"), "call").insert("timeout".into(), "20s".into());
    let stack = builder(config)?.start().await?;
    deliver_refused(&stack).await?;
    let run = stack.run_consumer_within(std::time::Duration::from_secs(8)).await?;
    assert_eq!((run.outcome.as_str(), run.relayed, run.unacked), ("deadline", 1, 1));
    comes_from_the_topic(&stack).await?;
    stack.finish().await
}

#[tokio::test]
async fn nor_is_what_a_run_leaves_behind_that_fails() -> Result<()> {
    let broken = async {
        let stack = failing_stack().await?;
        stack.broker_wire.always(consumes, Fault::CutBefore);
        leaves_it_in_the_topic(stack, "could not be drained").await.context("broken")
    };
    let ousted = async {
        let stack = failing_stack().await?;
        stack.table_wire()?.always(renews_stream, Fault::Answer(Answer::throttled()));
        stack.broker_wire.always(consumes, Fault::HangBefore);
        leaves_it_in_the_topic(stack, "another consumer").await.context("ousted")
    };
    tokio::try_join!(broken, ousted).map(drop)
}

/// A run of it lasts until it fails.
async fn failing_stack() -> Result<Stack> {
    let mut config = config()?;
    table(config.table(), "consumer").insert("relay_grace".into(), NEVER.into());
    let stack = builder(config)?.env("IDLE_EXIT", "30s").start().await?;
    deliver_refused(&stack).await?;
    Ok(stack)
}

async fn leaves_it_in_the_topic(stack: Stack, why: &str) -> Result<()> {
    let failure = stack.run_consumer().await.err().context("it did not fail")?.to_string();
    ensure!(failure.contains(why), "{failure}");
    stack.broker_wire.heal();
    stack.table_wire()?.heal();
    comes_from_the_topic(&stack).await?;
    stack.finish().await
}

async fn comes_from_the_topic(stack: &Stack) -> Result<()> {
    let settling = settle(stack).await?;
    let total = |count: fn(&local::stack::Summary) -> u64| settling.total(count);
    assert_eq!((total(|run| run.relayed), total(|run| run.done), total(|run| run.duplicates)), (0, 1, 0));
    assert_eq!(stack.third_party.ledger().attempts().len(), 1);
    Ok(())
}
