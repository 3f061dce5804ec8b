//! The record of a consumer run: what it did, and the state of destinations and streams.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use driftq_webhooks::effects::runs::{Breaker, ConsumerRun, End, Stands};
use jiff::Timestamp;
use local::{
    http::Answer,
    proxy::{Fault, Seen},
    stack::Stack,
    third_party::Behaviour,
};

use crate::{
    gate::Gate,
    guard::{Table, table_at},
    setup::{
        PATIENCE, Story, TICKETS, config, deliver, dispute, dispute_about, settle, stack, stack_with, table,
    },
};

pub(crate) fn leaves_record(seen: &Seen) -> bool {
    seen.is("PutItem") && seen.mentions("\":runs\"")
}

/// The records of all runs, the newest first.
async fn runs(stack: &Stack) -> Result<Vec<ConsumerRun>> {
    let table = stack.table()?;
    let log = table_at(table.url(), table.table()).await?.run_log();
    let (runs, next) = log.since(Timestamp::UNIX_EPOCH, 100, None).await?;
    ensure!(next.is_none(), "there are more");
    Ok(runs)
}

#[tokio::test]
async fn a_run_leaves_what_it_did() -> Story {
    let stack = stack().await?;
    let before = Timestamp::now();
    deliver(&stack, &dispute()?).await?;
    stack.run_consumer().await?;
    let runs = runs(&stack).await?;
    let run = runs.first().context("no run")?;
    assert_eq!((runs.len(), run.outcome, &run.error), (1, Some(End::Drained), &None));
    assert_eq!((run.counts.received, run.counts.done, run.counts.parked), (1, 1, 0));
    assert_eq!(run.received_to_call.context("no latency")?.calls, 1);
    assert!(before.as_millisecond() <= run.began_at.as_millisecond() && run.began_at < run.written_at);
    let hosts = config()?.steps().map(|step| step["call"]["url"].to_string()).collect::<Vec<_>>();
    assert!((1..=hosts.len()).contains(&run.destinations.len()), "{:?}", run.destinations);
    assert!(
        run.destinations
            .iter()
            .all(|to| to.breaker == Breaker::Closed && to.in_flight == 0 && to.limit == 64)
    );
    assert_eq!(run.streams.iter().map(|stream| stream.stands).collect::<Vec<_>>(), [Stands::Drained]);

    // It is not an effect, and it expires.
    assert_eq!(stack.effects().await?.len(), 1);
    let listing = table_at(stack.table()?.url(), stack.table()?.table()).await?.listing();
    let later = Timestamp::now() + Duration::from_secs(5);
    assert_eq!(listing.recent(before - Duration::from_secs(5), later).page(100).await?.len(), 1);
    let item = stack.table()?.scan().await?.into_iter().find(|item| item["run_id"] == ":runs");
    let item = item.context("no item")?;
    let expires = item["expires_at"].as_i64().context("no expiry")?;
    assert!((1..3).contains(&((expires - before.as_second()) / 86_400)), "{expires}");
    assert!(item["lane"].is_null() && item["day"].is_null(), "in no index: {item}");
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_run_with_nothing_to_do_and_nothing_new_to_say_writes_nothing() -> Story {
    let stack = stack().await?;
    let mut written = Vec::new();
    for is_busy in [false, false, true, false] {
        if is_busy {
            deliver(&stack, &dispute()?).await?;
        }
        stack.run_consumer().await?;
        written.push(stack.table_proxy()?.seen_where(leaves_record).len());
        stack.table_proxy()?.forget();
    }
    assert_eq!(written, [1, 0, 1, 0], "the first, and the one that did something");
    stack.broker_proxy.close().await;
    assert!(stack.run_consumer().await.is_err());
    assert!(stack.run_consumer().await.is_err());
    stack.broker_proxy.open().await?;
    stack.run_consumer().await?;
    let runs = runs(&stack).await?;
    let outcomes: Vec<_> = runs.iter().filter_map(|run| run.outcome).collect();
    assert_eq!(outcomes, [End::Drained, End::Failed, End::Drained, End::Drained], "and what has changed");
    let failed = &runs[1];
    assert!(matches!(failed.streams[0].stands, Stands::Unreachable { since } if since >= failed.began_at));
    assert!(
        failed.error.as_deref().is_some_and(|error| error.contains("could not be drained")),
        "{failed:?}"
    );
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_record_that_can_not_be_written_fails_no_run() -> Story {
    let faults = [Fault::Answer(Answer::throttled()), Fault::HangBefore];
    for (fault, number) in faults.into_iter().zip(0..) {
        let stack = stack().await?;
        stack.table_proxy()?.always(leaves_record, fault);
        deliver(&stack, &dispute_about(&format!("dp_{number}"))?).await?;
        assert_eq!(stack.run_consumer().await?.done, 1);
        assert!(runs(&stack).await?.is_empty());
        let lines = stack.consumer.log().lines();
        let said = lines.iter().filter(|line| line.text.contains("the run's record was not written"));
        assert_eq!(said.count(), 1, "{}", stack.consumer.log().tail(20));
        stack.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_long_run_is_seen_while_it_goes_on() -> Story {
    let (gate, stack) = (
        Gate::closed(),
        stack_with(|config| {
            table(config.step("open_ticket"), "call").insert("timeout".into(), "30s".into());
        })
        .await?,
    );
    stack.third_party.script(TICKETS, [gate.slow_call()]);
    deliver(&stack, &dispute()?).await?;
    let record = stack.table_proxy()?.once(leaves_record, Fault::Pass);
    let story = async {
        record.within(PATIENCE).await?;
        let run = loop {
            if let Some(run) = runs(&stack).await?.pop() {
                break run;
            }
            tokio::task::yield_now().await;
        };
        assert!(run.outcome.is_none(), "{run:?}");
        assert!(run.destinations.iter().map(|to| to.in_flight).sum::<u64>() == 1, "{run:?}");
        assert!(run.streams[0].stands == Stands::Reading, "{run:?}");
        gate.open();
        anyhow::Ok(run.id)
    };
    let (run, id) = tokio::join!(stack.run_consumer(), story);
    assert_eq!(run?.done, 1);
    let runs = runs(&stack).await?;
    assert_eq!(
        (runs.len(), runs[0].outcome, &runs[0].id),
        (1, Some(End::Drained), &id?),
        "one record per run"
    );
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn an_open_breaker_is_seen() -> Story {
    let stack = stack().await?;
    stack.third_party.always(TICKETS, Behaviour::refuse(503));
    for number in 0..6 {
        deliver(&stack, &dispute_about(&format!("dp_{number}"))?).await?;
    }
    let began = Timestamp::now();
    stack.run_consumer_within(Duration::from_secs(5)).await?;
    let run = runs(&stack).await?.remove(0);
    let breaker = run.destinations.iter().map(|to| to.breaker).find(|breaker| *breaker != Breaker::Closed);
    let is_open = matches!(breaker, Some(Breaker::Open { since, until }) if began < since && since < until);
    assert!(is_open, "{:?}", run.destinations);
    stack.third_party.always(TICKETS, Behaviour::apply());
    settle(&stack).await?;
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn runs_come_page_by_page_and_a_late_write_replaces_nothing_newer() -> Story {
    let stack = stack().await?;
    stack.run_consumer().await?;
    let run = runs(&stack).await?.remove(0);
    stack.finish().await?;

    let table = Table::start().await?;
    let log = table.roles.run_log();
    let at = |minute: i64| Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_mins(minute);
    for minute in 0..5 {
        let run = ConsumerRun { began_at: at(minute), written_at: at(minute + 1), ..run.clone() };
        log.write(&run).await?;
        log.write(&ConsumerRun { outcome: None, written_at: at(minute), ..run }).await?;
    }
    let (first, next) = log.since(at(1), 3, None).await?;
    let (rest, end) = log.since(at(1), 3, next).await?;
    let all: Vec<_> = first.iter().chain(&rest).collect();
    assert_eq!(all.iter().map(|run| run.began_at).collect::<Vec<_>>(), [4, 3, 2, 1].map(at));
    assert!(end.is_none() && all.iter().all(|run| run.outcome.is_some()), "{all:?}");
    Ok(())
}
