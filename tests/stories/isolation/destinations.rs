//! One failing destination, and a working one.

use std::{ops::Range, time::Duration};

use anyhow::Result;
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use local::{
    hook::Hook,
    proxy::Fault,
    stack::Stack,
    third_party::{Behaviour, Call, Fate},
};
use tokio::time::{sleep, timeout};
use toml::{Table, Value, toml};

use super::{Neighbours, breaker_opens, since};
use crate::{
    gate::Gate,
    setup::{PATIENCE, Story, TICKETS, deliver, dispute_about, settle, table},
};

/// The calls that a destination has in flight at a time.
const IN_FLIGHT: usize = 64;

async fn deliver_disputes(stack: &Stack, numbers: Range<usize>) -> Result<()> {
    let names = numbers.map(|number| format!("dp_{number}"));
    let delivered = stream::iter(names).map(async |name| deliver(stack, &dispute_about(&name)?).await);
    delivered.buffer_unordered(4).try_for_each(async |_| Ok(())).await
}

#[tokio::test]
async fn calls_that_hang_delay_no_other_destination() -> Story {
    let neighbours = Neighbours::start(|config, _| {
        table(config.step("open_ticket"), "call").insert("timeout".into(), "20s".into());
    })
    .await?;
    let (stack, gate) = (&neighbours.stack, Gate::closed());
    stack.third_party.always(TICKETS, gate.slow_call());
    deliver_disputes(stack, 0..IN_FLIGHT + 16).await?;
    let story = async {
        stack.third_party.until(PATIENCE, |ledger| ledger.attempts().len() == IN_FLIGHT).await?;
        neighbours.deliver_emails_soon(8).await?;
        assert!(neighbours.tickets().len() == IN_FLIGHT, "no more than these are in flight");
        gate.open();
        anyhow::Ok(())
    };
    let (run, told) = tokio::join!(stack.run_consumer(), story);
    told?;
    run?;
    settle(stack).await?;
    assert_eq!(neighbours.tickets().len(), IN_FLIGHT + 16);
    Ok(neighbours.stack.finish().await?)
}

#[tokio::test]
async fn a_destination_that_fails_uses_up_no_attempts_and_one_probe_decides() -> Story {
    const FIRST: usize = 8;
    const ALL: usize = 24;
    const PROBE: Duration = Duration::from_millis(500);
    let neighbours = Neighbours::start(|_, _| {}).await?;
    let stack = &neighbours.stack;
    stack.third_party.always(TICKETS, Behaviour::refuse(500));
    deliver_disputes(stack, 0..FIRST).await?;
    let story = async {
        breaker_opens(stack).await?;
        deliver_disputes(stack, FIRST..ALL).await?;
        let untried = timeout(PATIENCE, all_on_record(stack, ALL)).await??;
        assert!(untried >= (ALL - FIRST) / 2, "{untried} of {ALL} are untried");
        let slow = Hook::new(async || sleep(PROBE).await);
        stack.third_party.script(TICKETS, [Behaviour::apply().with_hook(slow)]);
        stack.third_party.always(TICKETS, Behaviour::apply());
        anyhow::Ok(())
    };
    let (run, told) = tokio::join!(stack.run_consumer(), story);
    told?;
    run?;
    settle(stack).await?;
    let calls = neighbours.tickets();
    let is_applied = |call: &&Call| matches!(call.fate, Fate::Applied { .. });
    let probe = calls.iter().find(is_applied).unwrap();
    let early = calls.iter().filter(|call| call.number > probe.number && since(probe.at, call.at) < PROBE);
    assert_eq!(early.count(), 0, "called while the probe was under way");
    assert_eq!(calls.iter().filter(is_applied).count(), ALL);
    Ok(neighbours.stack.finish().await?)
}

/// Waits until all effects are recorded, and returns how many of them have not been tried.
async fn all_on_record(stack: &Stack, count: usize) -> Result<usize> {
    loop {
        let effects = stack.effects().await?;
        if effects.len() == count {
            let untried =
                effects.iter().filter(|effect| (effect.status.as_str(), effect.attempt) == ("pending", 0));
            return Ok(untried.count());
        }
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_destination_that_asks_for_a_pause_gets_it_and_the_run_waits_for_it() -> Story {
    const PAUSE: Duration = Duration::from_secs(3);
    let neighbours = Neighbours::start(|_, _| {}).await?;
    let stack = &neighbours.stack;
    stack.third_party.script(TICKETS, [Behaviour::too_many("3")]);
    deliver(stack, &dispute_about("dp_first")?).await?;
    let put_off = stack.table_proxy()?.once(|seen| seen.mentions("\"waiting\""), Fault::Pass);
    let story = async {
        put_off.within(PATIENCE).await?;
        deliver_disputes(stack, 0..5).await?;
        neighbours.deliver_emails_soon(3).await
    };
    let (run, told) = tokio::join!(stack.run_consumer(), story);
    told?;
    let run = run?;
    assert_eq!((run.done, run.deferred), (9, 1), "{run:?}");
    let tickets = neighbours.tickets();
    let [first, others @ ..] = &tickets[..] else { panic!("no calls") };
    assert!(others.iter().all(|call| since(first.at, call.at) >= PAUSE), "{tickets:?}");
    let attempts: u64 = stack.effects().await?.iter().map(|effect| effect.attempt).sum();
    assert_eq!((others.len(), attempts), (6, 10), "those that waited have used no attempt");
    settle(stack).await?;
    Ok(neighbours.stack.finish().await?)
}

#[tokio::test]
async fn a_rate_is_kept() -> Story {
    const EMAILS: usize = 12;
    let neighbours = Neighbours::start(|config, emails| {
        let host = emails.url().trim_start_matches("http://").to_owned();
        let limits = Table::from_iter([(host, Value::Table(toml! { rate = 5 }))]);
        config.table().insert("destinations".into(), Value::Table(limits));
    })
    .await?;
    neighbours.deliver_emails(EMAILS).await?;
    let began = Timestamp::now();
    settle(&neighbours.stack).await?;
    let calls = neighbours.emails(EMAILS).await?;
    assert_eq!(calls.len(), EMAILS);
    for (number, call) in (0..).zip(&calls) {
        let (at, earliest) = (since(began, call.at), Duration::from_millis(200) * number);
        assert!(at >= earliest, "call {number} came after {at:?}");
    }
    Ok(neighbours.stack.finish().await?)
}
