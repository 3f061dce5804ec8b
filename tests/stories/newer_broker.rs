//! Differences of a newer generation of DriftQ: it refuses to create a topic twice, and accepts larger messages.

use anyhow::Result;
use local::{broker::Profile, proxy::Seen, stack::Stack};

use crate::setup::{Story, builder, config, deliver, dispute_about, issue, produces, settle};

/// None if a broker of another generation is configured.
async fn stack() -> Result<Option<Stack>> {
    let stack = builder(config()?)?.broker_profile(Profile::G3).start().await?;
    if stack.broker.is_external() {
        println!("skipped: the broker of DRIFTQ_HTTP_URL is of the generation that it is");
        stack.finish().await?;
        return Ok(None);
    }
    Ok(Some(stack))
}

#[tokio::test]
async fn several_functions_that_create_one_topic_at_once_all_go_on() -> Story {
    let Some(stack) = stack().await? else { return Ok(()) };
    let webhooks = ["a", "b", "c", "d"].map(dispute_about);
    let deliveries = webhooks.into_iter().map(async |webhook| deliver(&stack, &webhook?).await);
    futures_util::future::try_join_all(deliveries).await?;
    let creates = |seen: &Seen| seen.goes_to("POST", "/v1/topics");
    assert!(!stack.broker_proxy.seen_where(creates).is_empty());
    assert_eq!(stack.effects().await?.len(), 0, "none had to go to the table");
    settle(&stack).await?;
    assert_eq!(stack.third_party.ledger().applied().len(), 4);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn larger_input_travels_whole_where_the_broker_takes_it() -> Story {
    let Some(stack) = stack().await? else { return Ok(()) };
    for (bytes, is_whole) in [(60_000, true), (400_000, false)] {
        stack.broker_proxy.forget();
        stack.table_proxy()?.forget();
        let webhook = issue()?.edited(|event| {
            event["issue"]["body"] = "x".repeat(bytes).into();
            event["issue"]["number"] = bytes.into();
        });
        deliver(&stack, &webhook).await?;
        let longest = stack.broker_proxy.seen_where(produces).iter().map(|seen| seen.body.len()).max();
        assert_eq!(longest > Some(bytes), is_whole, "{bytes}: {longest:?}");
        let chunks =
            stack.table_proxy()?.seen_where(|seen| seen.is("PutItem") && seen.mentions(":claimcheck:"));
        assert_eq!(chunks.is_empty(), is_whole, "{bytes}");
    }
    settle(&stack).await?;
    assert_eq!(stack.third_party.ledger().applied_on("/v1/chat/completions").len(), 2);
    Ok(stack.finish().await?)
}
