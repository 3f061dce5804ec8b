//! What an effect costs, counted at the wire.

use std::collections::BTreeMap;

use anyhow::Result;
use local::{proxy::Seen, stack::Stack, third_party::Behaviour};

use crate::{
    chains,
    house::{TICKETS, deliver, dispute, settle, stack, stack_with},
    rows,
    runs::leaves_record,
};

/// DynamoDB requests that are about effects, by operation: without the stream lease, the agenda's lanes, the run's
/// record, and looks at what is due or parked.
fn table_requests(stack: &Stack) -> Result<BTreeMap<String, usize>> {
    let mut count = BTreeMap::new();
    for seen in stack.table_wire()?.seen_where(|seen| !is_of_a_run(seen)) {
        *count.entry(seen.operation).or_default() += 1;
    }
    stack.table_wire()?.forget();
    Ok(count)
}

/// However many effects a run has, it makes these.
pub(crate) fn is_of_a_run(seen: &Seen) -> bool {
    seen.mentions("\":stream\"") || seen.mentions("\":lanes\"") || seen.is("Query") || leaves_record(seen)
}

#[tokio::test]
async fn a_fresh_effect_costs_two_writes_and_a_duplicate_one() -> Result<()> {
    let stack = stack().await?;
    deliver(&stack, &dispute()?).await?;
    assert_eq!(table_requests(&stack)?, BTreeMap::new(), "ingest asks the table nothing");
    assert_eq!(stack.run_consumer().await?.done, 1);
    assert_eq!(stack.table_wire()?.seen_where(leaves_record).len(), 1, "and one write for the run");
    assert_eq!(table_requests(&stack)?, BTreeMap::from([("PutItem".into(), 1), ("UpdateItem".into(), 1)]));

    deliver(&stack, &dispute()?).await?;
    assert_eq!(stack.run_consumer().await?.duplicates, 1);
    assert_eq!(table_requests(&stack)?, BTreeMap::from([("PutItem".into(), 1)]));

    let broker =
        |path| stack.broker_wire.seen_where(|seen| seen.goes_to("POST", path) && seen.succeeded()).len();
    assert_eq!((broker("/v1/produce"), broker("/v1/ack") + broker("/v1/ack-cumulative")), (2, 2));
    stack.finish().await
}

#[tokio::test]
async fn a_command_that_is_tried_twice_costs_four_writes() -> Result<()> {
    let stack = stack().await?;
    stack.third_party.script(TICKETS, [Behaviour::refuse(429)]);
    deliver(&stack, &dispute()?).await?;
    let settling = settle(&stack).await?;
    assert_eq!((settling.total(|run| run.from_agenda), settling.total(|run| run.done)), (1, 1));
    // Claimed; deferred, claimed again and committed.
    assert_eq!(table_requests(&stack)?, BTreeMap::from([("PutItem".into(), 1), ("UpdateItem".into(), 3)]));
    stack.finish().await
}

#[tokio::test]
async fn a_run_that_finds_nothing_costs_two_writes_and_two_queries_per_step() -> Result<()> {
    // Longer than the run, so that it need not be renewed.
    let lease = toml::toml! { stream_lease = "10s" };
    let stack = stack_with(|config| drop(config.table().insert("consumer".into(), lease.into()))).await?;
    stack.table_wire()?.forget();
    // The first run also looks at what waits, for the gauges, and leaves its record; so does one per minute.
    stack.run_consumer().await?;
    assert_eq!(stack.table_wire()?.seen_where(leaves_record).len(), 1);
    stack.table_wire()?.forget();
    assert_eq!(stack.run_consumer().await?.received, 0);
    let count = |operation| stack.table_wire().map(|wire| wire.seen_where(|seen| seen.is(operation)).len());
    let steps = stack.config.clone().steps().count();
    assert_eq!((count("UpdateItem")?, count("Query")?, count("PutItem")?), (2, 2 * steps, 0));
    stack.finish().await
}

/// The first is claimed by a put. Each of the others costs its record in the transaction of the one before it, a claim and the
/// end, which is the next one's transaction or the last commit: two requests, as a fresh effect.
#[tokio::test]
async fn a_chain_of_three_costs_six_requests() -> Result<()> {
    let stack = chains::with(chains::CHAIN).await?;
    deliver(&stack, &dispute()?).await?;
    assert_eq!(stack.run_consumer().await?.done, 3);
    let expected = [("PutItem", 1), ("TransactWriteItems", 2), ("UpdateItem", 3)];
    assert_eq!(table_requests(&stack)?, expected.map(|(name, count)| (name.to_owned(), count)).into());
    stack.finish().await
}

#[tokio::test]
async fn an_item_costs_a_claim_and_one_transaction() -> Result<()> {
    let stack = rows::stack(rows::COUNT).await?;
    stack.table_wire()?.forget();
    deliver(&stack, &dispute()?).await?;
    assert_eq!(stack.run_consumer().await?.done, 1);
    let expected = [("PutItem", 1), ("TransactWriteItems", 1)];
    assert_eq!(table_requests(&stack)?, expected.map(|(name, count)| (name.to_owned(), count)).into());
    stack.finish().await
}
