//! The requests per effect, counted at the fault proxies.

use std::collections::BTreeMap;

use anyhow::Result;
use local::{
    counted::{
        LANE_READS_PER_RUN, LEASE_WRITES_PER_RUN, LOG_BYTES_PER_LOOK, LOG_BYTES_PER_RUN,
        LOG_BYTES_PER_WEBHOOK, PAUSE_READS_PER_RUN, QUERIES_PER_RUN_AND_STEP, RECORD_WRITES_PER_RUN,
        WRITES_PER_DUPLICATE, WRITES_PER_EFFECT, WRITES_PER_RETRY,
    },
    proxy::Seen,
    runtime_api::{Line, Log},
    stack::Stack,
    third_party::Behaviour,
};

use crate::{
    chains, rows,
    runs::leaves_record,
    setup::{PATIENCE, Story, TICKETS, deliver, dispute, dispute_about, settle, stack, stack_with},
};

/// DynamoDB requests about effects, by operation: without the stream lease, the agenda's lanes, the run's record, and queries of what is due or
/// parked.
fn table_requests(stack: &Stack) -> Result<BTreeMap<String, usize>> {
    let mut count = BTreeMap::new();
    for seen in stack.table_proxy()?.seen_where(|seen| !is_of_a_run(seen)) {
        *count.entry(seen.operation).or_default() += 1;
    }
    stack.table_proxy()?.forget();
    Ok(count)
}

/// A request per run, however many effects the run has.
pub(crate) fn is_of_a_run(seen: &Seen) -> bool {
    seen.mentions("\":stream\"")
        || seen.mentions("\":lanes\"")
        || seen.mentions("\":pause\"")
        || seen.is("Query")
        || leaves_record(seen)
}

#[tokio::test]
async fn a_fresh_effect_costs_two_writes_and_a_duplicate_one() -> Story {
    let stack = stack().await?;
    deliver(&stack, &dispute()?).await?;
    assert_eq!(table_requests(&stack)?, BTreeMap::new(), "ingest asks the table nothing");
    assert_eq!(stack.run_consumer().await?.done, 1);
    let records = stack.table_proxy()?.seen_where(leaves_record).len();
    assert_eq!(records, RECORD_WRITES_PER_RUN, "and one write for the run");
    let requests = table_requests(&stack)?;
    assert_eq!(requests, BTreeMap::from([("PutItem".into(), 1), ("UpdateItem".into(), 1)]));
    assert_eq!(requests.values().sum::<usize>(), WRITES_PER_EFFECT);

    deliver(&stack, &dispute()?).await?;
    assert_eq!(stack.run_consumer().await?.duplicates, 1);
    assert_eq!(table_requests(&stack)?, BTreeMap::from([("PutItem".into(), WRITES_PER_DUPLICATE)]));

    let broker =
        |path| stack.broker_proxy.seen_where(|seen| seen.goes_to("POST", path) && seen.succeeded()).len();
    assert_eq!((broker("/v1/produce"), broker("/v1/ack") + broker("/v1/ack-cumulative")), (2, 2));
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_command_that_is_tried_twice_costs_four_writes() -> Story {
    let stack = stack().await?;
    stack.third_party.script(TICKETS, [Behaviour::refuse(429)]);
    deliver(&stack, &dispute()?).await?;
    let settling = settle(&stack).await?;
    assert_eq!((settling.total(|run| run.from_agenda), settling.total(|run| run.done)), (1, 1));
    // Claimed; deferred, claimed again and committed.
    let requests = table_requests(&stack)?;
    assert_eq!(requests, BTreeMap::from([("PutItem".into(), 1), ("UpdateItem".into(), 3)]));
    assert_eq!(requests.values().sum::<usize>(), WRITES_PER_EFFECT + WRITES_PER_RETRY);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_run_that_finds_nothing_costs_two_writes_and_two_queries_per_step() -> Story {
    // Longer than the run, so that it need not be renewed.
    let lease = toml::toml! { stream_lease = "10s" };
    let stack = stack_with(|config| drop(config.table().insert("consumer".into(), lease.into()))).await?;
    stack.table_proxy()?.forget();
    // The first run also counts waiting records for the gauges, and writes its record; so does one per minute.
    stack.run_consumer().await?;
    assert_eq!(stack.table_proxy()?.seen_where(leaves_record).len(), 1);
    stack.table_proxy()?.forget();
    assert_eq!(stack.run_consumer().await?.received, 0);
    let count =
        |operation| stack.table_proxy().map(|proxy| proxy.seen_where(|seen| seen.is(operation)).len());
    let steps = stack.config.clone().steps().count();
    assert_eq!((count("UpdateItem")?, count("PutItem")?), (LEASE_WRITES_PER_RUN, 0));
    assert_eq!(count("Query")?, QUERIES_PER_RUN_AND_STEP * steps);
    assert_eq!(count("GetItem")?, LANE_READS_PER_RUN + PAUSE_READS_PER_RUN);
    Ok(stack.finish().await?)
}

/// Each effect costs two requests, like a fresh one: a claim, and an end. The record of a later effect is put by the
/// transaction that ends the one before it, so it costs no request of its own.
#[tokio::test]
async fn a_chain_of_three_costs_six_requests() -> Story {
    let stack = chains::with(chains::CHAIN).await?;
    deliver(&stack, &dispute()?).await?;
    assert_eq!(stack.run_consumer().await?.done, 3);
    let expected = [("PutItem", 1), ("TransactWriteItems", 2), ("UpdateItem", 3)];
    assert_eq!(table_requests(&stack)?, expected.map(|(name, count)| (name.to_owned(), count)).into());
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn an_item_costs_a_claim_and_one_transaction() -> Story {
    let stack = rows::stack(rows::COUNT).await?;
    stack.table_proxy()?.forget();
    deliver(&stack, &dispute()?).await?;
    assert_eq!(stack.run_consumer().await?.done, 1);
    let expected = [("PutItem", 1), ("TransactWriteItems", 1)];
    assert_eq!(table_requests(&stack)?, expected.map(|(name, count)| (name.to_owned(), count)).into());
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn log_lines_are_no_longer_than_costs_are_computed_with() -> Story {
    let stack = stack().await?;
    let printed = |log: &Log| log.lines().iter().map(|line| line.text.len() + 1).sum::<usize>();
    // Both have started, and the gauges have been counted.
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    let before = printed(stack.consumer.log());
    // Two runs at most, with the start, that dispute, and a look at what waits.
    assert!(before <= LOG_BYTES_PER_RUN * 2 + LOG_BYTES_PER_WEBHOOK + LOG_BYTES_PER_LOOK, "{before}");
    println!("at first {before}");
    stack.run_consumer().await?;
    stack.consumer.log().until(PATIENCE, |lines| printed_since(lines, before)).await?;
    let idle = printed(stack.consumer.log()) - before;
    let before = (printed(stack.ingest.log()), printed(stack.consumer.log()));
    deliver(&stack, &dispute_about("dp_logged")?).await?;
    assert_eq!(stack.run_consumer().await?.done, 1);
    stack.consumer.log().until(PATIENCE, |lines| printed_since(lines, before.1 + idle)).await?;
    let (ingest, consumer) =
        (printed(stack.ingest.log()) - before.0, printed(stack.consumer.log()) - before.1);
    println!("ingest {ingest}, consumer {consumer}, idle {idle}");
    assert!(ingest + consumer - idle <= LOG_BYTES_PER_WEBHOOK, "{ingest} and {}", consumer - idle);
    assert!(idle <= LOG_BYTES_PER_RUN, "{idle}");
    Ok(stack.finish().await?)
}

/// A process may respond before all its output has arrived here.
fn printed_since(lines: &[Line], before: usize) -> bool {
    lines.iter().map(|line| line.text.len() + 1).sum::<usize>() > before
}
