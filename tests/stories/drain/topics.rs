//! Topics as the broker keeps them: silent when empty; in the first generation gone after a restart, or with fewer partitions
//! than before.

use std::time::Duration;

use anyhow::Result;
use local::{broker::Profile, proxy::Seen, stack::Stack};
use serde_json::json;

use super::{deliver_all, is_not_ours_to_kill, name_in, once_each, tickets};
use crate::setup::{Story, builder, config, settle, stack};

fn creates_topic(seen: &Seen) -> bool {
    seen.goes_to("POST", "/v1/topics")
}

/// The first generation keeps no more of a topic than its messages.
async fn forgetful(partitions: u32) -> Result<Stack> {
    let builder = builder(config()?)?.broker_profile(Profile::G0);
    builder.env("DRIFTQ_PARTITIONS", &partitions.to_string()).start().await
}

#[tokio::test]
async fn an_empty_topic_is_left_by_the_clock() -> Story {
    let stack = stack().await?;
    for _ in 0..2 {
        let run = tokio::time::timeout(Duration::from_secs(10), stack.run_consumer()).await??;
        assert_eq!((run.outcome.as_str(), run.received), ("drained", 0), "{run:?}");
    }
    assert_eq!(stack.broker_proxy.seen_where(creates_topic).len(), 1, "it was missing the first time only");
    deliver_all(&stack, &["one"]).await?;
    settle(&stack).await?;
    let after = stack.run_consumer().await?;
    assert_eq!((after.outcome.as_str(), after.received), ("drained", 0), "empty again: {after:?}");
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_vanished_topic_is_created_again() -> Story {
    let stack = forgetful(8).await?;
    if is_not_ours_to_kill(&stack) {
        return Ok(stack.finish().await?);
    }
    stack.run_consumer().await?;
    stack.broker.restart().await?;
    assert_eq!(topics(&stack).await?, json!([]), "it never held a message");
    let run = stack.run_consumer().await?;
    assert_eq!((run.outcome.as_str(), run.received), ("drained", 0), "{run:?}");
    assert_eq!(topics(&stack).await?, json!([stack.topic]));
    stack.broker.restart().await?;
    deliver_all(&stack, &["one"]).await?;
    assert_eq!(stack.broker_proxy.seen_where(creates_topic).len(), 3);
    let settling = settle(&stack).await?;
    assert_eq!((settling.total(|run| run.from_agenda), settling.total(|run| run.done)), (0, 1));
    assert_eq!(tickets(&stack), once_each(&["one"]));
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn partitions_that_shrank_lose_nothing() -> Story {
    let stack = forgetful(16).await?;
    if is_not_ours_to_kill(&stack) {
        return Ok(stack.finish().await?);
    }
    let [low, high] = [name_in(2, 16, "low"), name_in(9, 16, "high")];
    deliver_all(&stack, &[&low]).await?;
    assert_eq!(partitions(&stack).await?, 16);
    stack.broker.restart().await?;
    assert_eq!(partitions(&stack).await?, 3, "the highest with a message, and one");
    // The key of this one now falls into another partition than it would have.
    deliver_all(&stack, &[&high]).await?;
    settle(&stack).await?;
    assert_eq!(tickets(&stack), once_each(&[&low, &high]));
    Ok(stack.finish().await?)
}

async fn topics(stack: &Stack) -> Result<serde_json::Value> {
    let answer = reqwest::get(format!("{}/v1/topics", stack.broker.url())).await?;
    Ok(serde_json::from_slice::<serde_json::Value>(&answer.bytes().await?)?["topics"].clone())
}

/// The number of the topic's partitions, from the lag of a group that is made for this question.
async fn partitions(stack: &Stack) -> Result<usize> {
    let url = stack.broker.url();
    let query = format!("topic={}&group=counting&owner=counter&lease_ms=1000", stack.topic);
    // Its first message shows that the group is there.
    drop(reqwest::get(format!("{url}/v1/consume?{query}")).await?);
    let metrics = reqwest::get(format!("{url}/metrics")).await?.text().await?;
    let lines =
        metrics.lines().filter(|line| line.starts_with("consumer_lag{") && line.contains("\"counting\""));
    Ok(lines.count())
}
