//! Retry budgets: a limit of time, in addition to or instead of a number of attempts.

use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use local::{stack::Stack, third_party::Behaviour};
use toml::{Value, toml};

use crate::{
    backlog::put_due,
    decisions::decide,
    setup::{Story, TICKETS, deliver, dispute, only_effect, settle, stack_with},
};

/// A ticket may be tried for that long; its call takes up to 1 s.
async fn stack_that_gives_up_after(time: &str) -> Result<Stack> {
    let mut retry = toml! { backoff = "100ms" max_backoff = "200ms" };
    retry.insert("give_up_after".into(), time.into());
    stack_with(|config| drop(config.step("open_ticket").insert("retry".into(), Value::Table(retry)))).await
}

#[tokio::test]
async fn a_step_gives_up_when_its_time_is_over_and_a_decision_starts_it_anew() -> Story {
    let stack = stack_that_gives_up_after("2s").await?;
    stack.third_party.always(TICKETS, Behaviour::refuse(429));
    deliver(&stack, &dispute()?).await?;
    for round in 1..=2 {
        let earlier = stack.third_party.ledger().attempts().len();
        settle(&stack).await?;
        let effect = only_effect(&stack).await?;
        assert_eq!(effect.last_error(), "gave up after 2s; the last: answered 429");
        let tried = stack.third_party.ledger().attempts().len() - earlier;
        assert!(tried > 1, "round {round} had {tried} attempts");
        let time = |name: &str| effect.record[name].as_i64();
        let began = time("forgiven_at").or(time("first_attempt_at")).context("a time")?;
        let took = time("updated_at").context("a time")? - began;
        assert!(took >= 2000, "round {round} ended after {took} ms");
        assert_eq!(decide(&stack, &effect, "retry").await?.status, 200);
    }
    stack.third_party.always(TICKETS, Behaviour::apply());
    settle(&stack).await?;
    Ok(stack.finish().await?)
}

/// Whether there is another try is decided when one has failed, not when the next one is due.
#[tokio::test]
async fn a_try_that_comes_after_the_time_is_over_is_made() -> Story {
    let stack = stack_that_gives_up_after("1s").await?;
    stack.third_party.script(TICKETS, [Behaviour::too_many("2")]);
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    assert!(only_effect(&stack).await?.is_done());
    assert_eq!(stack.third_party.ledger().attempts().len(), 2);
    Ok(stack.finish().await?)
}

/// The consumer would otherwise end after 400 ms.
#[tokio::test]
async fn what_falls_due_within_seconds_is_done_by_the_same_run() -> Story {
    let stack = stack_that_gives_up_after("1m").await?;
    let mut record = put_due(&stack, 1).await?.remove(0);
    record["due_at"] = (Timestamp::now() + Duration::from_secs(3)).as_millisecond().into();
    stack.table()?.put(&record).await?;
    let run = stack.run_consumer().await?;
    assert_eq!((run.from_agenda, run.done), (1, 1), "{run:?}");
    Ok(stack.finish().await?)
}

/// A dead attempt is found after 2 s, when its lease expires.
#[tokio::test]
async fn crashes_use_up_the_time_as_well() -> Story {
    let stack = stack_that_gives_up_after("1s").await?;
    let kill = stack.consumer.killer().hook();
    stack.third_party.always(TICKETS, Behaviour::apply().with_hook(kill));
    deliver(&stack, &dispute()?).await?;
    let settling = settle(&stack).await?;
    assert_eq!(settling.deaths(), 1);
    let effect = only_effect(&stack).await?;
    assert_eq!((effect.is_parked(), effect.last_error()), (true, "gave up after 1s"));
    assert!(effect.record["doubt"].is_string(), "it may have been applied");
    Ok(stack.finish().await?)
}

/// An effect that crashes its process each time must leave later processes time for other work.
#[tokio::test]
async fn an_effect_that_kills_its_process_twice_waits_before_the_next_try() -> Story {
    let stack = stack_that_gives_up_after("1m").await?;
    let kill = stack.consumer.killer().hook();
    let deadly = Behaviour::apply().with_hook(kill);
    stack.third_party.script(TICKETS, [deadly.clone(), deadly]);
    deliver(&stack, &dispute()?).await?;
    let settling = settle(&stack).await?;
    assert_eq!((settling.deaths(), settling.total(|run| run.deferred)), (2, 1));
    let effect = only_effect(&stack).await?;
    assert_eq!((effect.is_done(), effect.attempt), (true, 4));
    assert_eq!(effect.record["history"][2]["what"], "in doubt: attempt 2 did not report back");
    let ledger = stack.third_party.ledger();
    assert_eq!((ledger.applied().len(), ledger.deduped().len()), (1, 2), "and it is still in doubt");
    Ok(stack.finish().await?)
}
