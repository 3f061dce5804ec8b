//! Answers of every kind that the broker, or a proxy in front of it, may give to an ack, a produce or another
//! request.

use anyhow::Result;
use local::{
    broker::Profile,
    http::Answer,
    proxy::{Fault, Seen},
    stack::{Stack, Summary},
};
use serde_json::json;

use super::{ack, consumes, deliver_all, once_each, produces, side_by_side, tickets};
use crate::setup::{Story, builder, config, settle, stack};

/// A stack with a broker of the first generation, which acks one by one. `cumulative` has the same tests for
/// a newer one.
async fn acking_singly() -> Result<Stack> {
    builder(config()?)?.broker_profile(Profile::G0).start().await
}

#[tokio::test]
async fn an_ack_that_is_refused_costs_a_duplicate_and_no_more() -> Story {
    let refusal = |status, code: &str, message: &str| {
        Fault::Answer(Answer::of_json(status, &json!({ "error": code, "message": message })))
    };
    let faults = [
        refusal(409, "FAILED_PRECONDITION", "not owner"),
        refusal(400, "INVALID_ARGUMENT", "message is not in-flight"),
    ];
    let stories = faults.map(async |fault| {
        let stack = acking_singly().await?;
        let hit = stack.broker_proxy.once(ack, fault.clone());
        deliver_all(&stack, &["one"]).await?;
        let settling = settle(&stack).await?;
        assert_eq!(hit.count(), 1);
        let totals = [settling.total(|run| run.done), settling.total(|run| run.unacked)];
        assert_eq!((totals, settling.failures.len()), ([1, 1], 0), "{fault:?}: {settling:?}");
        assert!(settling.total(|run| run.duplicates) >= 1, "{fault:?}: {settling:?}");
        assert_eq!(stack.third_party.ledger().attempts().len(), 1, "{fault:?}");
        Ok(stack.finish().await?)
    });
    side_by_side(stories).await
}

/// Otherwise its partition would wait until the message's lease is over.
#[tokio::test]
async fn an_ack_without_an_answer_is_sent_again_on_the_same_stream() -> Story {
    let faults = [
        Fault::Answer(Answer::of_json(500, &json!({ "error": "INTERNAL", "message": "disk full" }))),
        Fault::Answer(Answer::html(502)),
        Fault::CutBefore,
        Fault::HangBefore,
        Fault::HangAfter,
        Fault::CutAfter,
    ];
    let stories = faults.map(async |fault| {
        let stack = acking_singly().await?;
        let hit = stack.broker_proxy.once(ack, fault.clone());
        deliver_all(&stack, &["one"]).await?;
        let settling = settle(&stack).await?;
        assert_eq!(hit.count(), 1);
        let total = |count: fn(&Summary) -> u64| settling.total(count);
        let totals = [total(|run| run.done), total(|run| run.received), total(|run| run.unacked)];
        assert_eq!(totals, [1, 1, 0], "{fault:?}: {settling:?}");
        let acks = stack.broker_proxy.seen_where(ack);
        assert_eq!((acks.len(), &acks[0].body), (2, &acks[1].body), "{fault:?}");
        Ok(stack.finish().await?)
    });
    side_by_side(stories).await
}

#[tokio::test]
async fn a_full_partition_is_believed_with_and_without_retry_after() -> Story {
    let mut without = Answer::partition_full();
    without.headers.remove("retry-after");
    let stories = [Answer::partition_full(), without, Answer::status(429)].map(async |full| {
        let stack = stack().await?;
        stack.broker_proxy.always(produces, Fault::Answer(full));
        deliver_all(&stack, &["one", "two"]).await?;
        assert!(stack.effects().await?.iter().all(|effect| effect.status == "pending"));
        // The broker is not needed for what is due.
        let run = stack.run_consumer().await?;
        assert_eq!((run.from_agenda, run.received, run.done), (2, 0, 2), "{run:?}");
        stack.broker_proxy.heal();
        settle(&stack).await?;
        assert_eq!(tickets(&stack), once_each(&["one", "two"]));
        Ok(stack.finish().await?)
    });
    side_by_side(stories).await
}

#[tokio::test]
async fn topics_may_be_listed_as_strings_or_objects_and_by_a_broker_only() -> Story {
    let stack = stack().await?;
    let list = |seen: &Seen| seen.goes_to("GET", "/v1/topics");
    let lists = [
        (Answer::of_json(200, &json!({ "topics": ["a", "b"] })), true),
        (
            Answer::of_json(200, &json!({ "topics": [{ "name": "a", "partitions": 8 }, "b"], "next": null })),
            true,
        ),
        (Answer::of_json(200, &json!({ "topics": null })), true),
        (Answer::html(200), false),
        (Answer::html(502), false),
    ];
    for (answer, ok) in lists {
        stack.broker_proxy.once(list, Fault::Answer(answer.clone()));
        let health = stack.get("/healthz").await?;
        assert_eq!(health.json()["brokers"][0]["ok"], ok, "{answer:?}");
    }
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_broker_that_answers_with_pages_has_taken_nothing_and_said_nothing() -> Story {
    let stories = [200, 404, 503].map(async |status| {
        let stack = stack().await?;
        let page = || Fault::Answer(Answer::html(status));
        stack.broker_proxy.always(produces, page());
        deliver_all(&stack, &["one"]).await?;
        assert_eq!(stack.effects().await?[0].status, "pending", "{status}: a page is no promise");
        stack.broker_proxy.heal();
        stack.broker_proxy.once(consumes, page());
        stack.broker_proxy.once(ack, page());
        settle(&stack).await?;
        assert_eq!(stack.third_party.ledger().attempts().len(), 1);
        Ok(stack.finish().await?)
    });
    side_by_side(stories).await
}
