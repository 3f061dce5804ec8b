//! The move to a new broker as in docs/operate.md, under load and with kills: nothing is lost, nothing is applied twice.

use std::time::Duration;

use anyhow::Result;
use futures_util::{StreamExt, TryStreamExt, stream};
use local::{
    hook::Hook,
    stack::{BrokerControl, Effect, Stack},
    third_party::Behaviour,
};
use tokio::time::sleep;

use crate::{
    drain::is_not_ours_to_kill,
    setup::{Story, TICKETS, builder, config, deliver_until_taken, dispute_about, produces},
};

/// Webhooks before the move, during it, and after the old broker was removed.
const WEBHOOKS: [usize; 3] = [60, 120, 40];
/// One kill per this many accepted webhooks.
const BETWEEN_KILLS: usize = 10;
/// How often a consumer is started.
const SCHEDULE: Duration = Duration::from_millis(300);
/// Longer than it takes to settle them all; reached only by a failure.
const PATIENCE: Duration = Duration::from_secs(90);

#[tokio::test]
async fn moving_to_a_fresh_broker_under_load_and_kills_loses_and_doubles_nothing() -> Story {
    let stack = builder(config()?)?.brokers(2).start().await?;
    if is_not_ours_to_kill(&stack) {
        return Ok(stack.finish().await?);
    }
    let (old, new) = (&stack.broker, &stack.more_brokers[0]);
    let [old_url, new_url] = [old, new].map(|broker| broker.proxy().url());
    stack.deploy(&[("DRIFTQ_HTTP_URL", &old_url)]);
    // Long enough that kills occur during calls.
    let slow = Hook::new(async || sleep(Duration::from_millis(20)).await);
    stack.third_party.always(TICKETS, Behaviour::apply().with_hook(slow));

    // No consumer runs yet, so that there is something to drain.
    let mut effects = load(&stack, 0, WEBHOOKS[0], &[old]).await?;
    assert!(stack.unacked_at(old).await? > 0, "there is nothing to drain");
    let schedule = stack.schedule(SCHEDULE);
    stack.deploy(&[("DRIFTQ_HTTP_URL", &new_url), ("DRIFTQ_DRAIN_URL", &old_url)]);
    let moved_at = taken(old);
    effects.extend(load(&stack, WEBHOOKS[0], WEBHOOKS[1], &[old, new]).await?);
    // Invocations in progress end with their old settings, and only they still produce to the old broker.
    assert!(taken(old) <= moved_at + 4, "{} commands after {moved_at}", taken(old) - moved_at);
    assert!(taken(new) > 0, "nothing has moved");
    drop(schedule);
    stack.run_until_settled(PATIENCE).await?;
    assert!(stack.unacked_at(old).await? == 0, "the old broker is not drained");

    stack.deploy(&[("DRIFTQ_DRAIN_URL", "")]);
    old.proxy().forget();
    let schedule = stack.schedule(SCHEDULE);
    effects.extend(load(&stack, WEBHOOKS[0] + WEBHOOKS[1], WEBHOOKS[2], &[new]).await?);
    drop(schedule);
    stack.run_until_settled(PATIENCE).await?;
    assert!(old.proxy().seen().is_empty(), "the old broker is not forgotten: {:?}", old.proxy().seen());

    effects.sort();
    effects.dedup();
    let applied = stack.third_party.ledger().applied_by_key();
    let doubled: Vec<_> = applied.iter().filter(|(_, times)| **times > 1).collect();
    assert!(doubled.is_empty(), "applied twice: {doubled:?}");
    let lost: Vec<_> = effects.iter().filter(|effect| !applied.contains_key(*effect)).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    assert_eq!((effects.len(), applied.len()), (WEBHOOKS.iter().sum(), effects.len()));
    assert!(stack.effects().await?.iter().all(Effect::is_done));
    Ok(stack.finish().await?)
}

/// Delivers this many webhooks, four at a time, each until it is accepted, with kills in between. Returns the effects.
async fn load(
    stack: &Stack,
    first: usize,
    webhooks: usize,
    brokers: &[&BrokerControl],
) -> Result<Vec<String>> {
    let delivered = stream::iter(first..first + webhooks).map(async |number| {
        let effects = deliver_until_taken(stack, &dispute_about(&format!("dp_{number}"))?).await?;
        if number % BETWEEN_KILLS == 0 {
            kill(stack, brokers, number / BETWEEN_KILLS).await?;
        }
        anyhow::Ok(effects)
    });
    delivered.buffer_unordered(4).try_concat().await
}

/// Kills the consumer, each broker and ingest in turn. Each of them starts again.
async fn kill(stack: &Stack, brokers: &[&BrokerControl], turn: usize) -> Result<()> {
    match turn % (brokers.len() + 2) {
        0 => drop(stack.consumer.killer().kill().await),
        1 => drop(stack.ingest.killer().kill().await),
        broker => brokers[broker - 2].restart().await?,
    }
    Ok(())
}

/// How many commands the broker has taken.
fn taken(broker: &BrokerControl) -> usize {
    broker.proxy().seen_where(|seen| produces(seen) && seen.succeeded()).len()
}
