//! Long queues do not delay other work.

use anyhow::Result;
use local::{
    broker::Profile,
    http::Answer,
    proxy::{Fault, Seen},
    stack::Stack,
};
use serde_json::json;

use super::{Neighbours, breaker_opens};
use crate::{
    backlog::put_due,
    setup::{Story, builder, config, consumes, deliver, dispute_about, produces, settle, stack},
};

fn reads_tickets(seen: &Seen) -> bool {
    seen.is("Query") && seen.mentions("\"open_ticket\"")
}

#[tokio::test]
async fn a_dead_destination_with_a_long_agenda_costs_little_and_delays_nothing() -> Story {
    const BACKLOG: usize = 2000;
    let neighbours = Neighbours::start(|_, _| {}).await?;
    let stack = &neighbours.stack;
    let mut records = put_due(stack, BACKLOG).await?;
    stack.third_party.close().await;
    let story = async {
        breaker_opens(stack).await?;
        stack.table_proxy()?.forget();
        let took = neighbours.deliver_emails_soon(8).await?;
        let reads = stack.table_proxy()?.seen_where(reads_tickets).len() as u64;
        assert!(reads <= 3 + took.as_secs(), "{reads} reads in {took:?}");
        // Enough has been seen.
        for record in &mut records {
            record["status"] = json!("discarded");
            let fields = record.as_object_mut().unwrap();
            drop((fields.remove("lane"), fields.remove("due_at")));
        }
        stack.table()?.put_all(&records).await
    };
    let (run, told) = tokio::join!(stack.run_consumer(), story);
    told?;
    run?;
    settle(stack).await?;
    Ok(neighbours.stack.finish().await?)
}

#[tokio::test]
async fn commands_that_a_proxy_refuses_stop_nothing() -> Story {
    let stack = stack().await?;
    let refused = stack.broker_proxy.times(4, produces, Fault::Answer(Answer::html(403)));
    for number in 0..8 {
        deliver(&stack, &dispute_about(&format!("dp_{number}"))?).await?;
    }
    assert_eq!((refused.count(), pending(&stack).await?), (4, 4));
    let run = stack.run_consumer().await?;
    assert_eq!((run.done, run.from_agenda), (8, 4), "{run:?}");
    settle(&stack).await?;
    Ok(stack.finish().await?)
}

async fn pending(stack: &Stack) -> Result<usize> {
    Ok(stack.effects().await?.iter().filter(|effect| effect.status == "pending").count())
}

/// The broker's only partition holds 100 messages and nobody reads it, so that it stays full.
#[tokio::test]
async fn a_partition_full_of_one_key_hides_nothing_behind_it() -> Story {
    const HOT: usize = 120;
    let builder = builder(config()?)?.broker_profile(Profile::G0).env("DRIFTQ_PARTITIONS", "1");
    let stack = builder.start().await?;
    for number in 0..HOT {
        let webhook = dispute_about("dp_hot")?;
        deliver(&stack, &webhook.edited(|event| event["id"] = format!("evt_{number}").into())).await?;
    }
    for number in 0..5 {
        deliver(&stack, &dispute_about(&format!("dp_{number}"))?).await?;
    }
    let deferred = pending(&stack).await?;
    assert!(deferred >= 25, "{deferred} were not taken by the broker");
    stack.broker_proxy.always(consumes, Fault::HangBefore);
    let run = stack.run_consumer().await?;
    assert_eq!((run.received, run.from_agenda, run.done), (0, deferred as u64, deferred as u64), "{run:?}");
    stack.broker_proxy.heal();
    settle(&stack).await?;
    assert_eq!(stack.third_party.ledger().applied().len(), HOT + 5);
    Ok(stack.finish().await?)
}
