//! A topic that is read again from its beginning, as by a new consumer group, contains commands whose records have expired. They may have been done
//! long ago.

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use local::{command, stack::Stack};

use crate::{
    broker_trouble::produce,
    decisions::decide,
    printed::Printed,
    requests::is_of_a_run,
    setup::{Story, deliver, dispute_about, produces, settle, stack},
};

/// A stack in which one dispute is done, and its command is in the topic again, received this many days ago and about that dispute. Also returns the
/// number of runs before.
async fn replayed(days: i64, about: &str) -> Result<(Stack, usize)> {
    let stack = stack().await?;
    deliver(&stack, &dispute_about("dp_done")?).await?;
    let runs = settle(&stack).await?.runs.len();
    let produced = stack.broker_proxy.seen_where(produces);
    let produced = String::from_utf8(produced[0].body.to_vec())?.replace("dp_done", about);
    let message = command::fitted(&serde_json::from_str(&produced)?)?;
    let mut command = command::of(&message)?;
    let received = Timestamp::now() - SignedDuration::from_hours(24 * days);
    command["received_at"] = received.to_string().into();
    stack.table_proxy()?.forget();
    produce(&stack, &command::with(&message, &command)).await?;
    Ok((stack, runs))
}

#[tokio::test]
async fn an_old_command_without_a_record_is_parked_and_not_called() -> Story {
    let (stack, mut runs) = replayed(90, "dp_forgotten").await?;
    runs += settle(&stack).await?.runs.len();
    assert_eq!(stack.third_party.ledger().attempts().len(), 1, "of the other one");
    let effect = stack.effect("stripe.evt_dp_forgotten:open_ticket:dp_forgotten").await?;
    assert!(effect.is_parked() && effect.last_error().contains("it may have been done"), "{effect:?}");
    assert_eq!(effect.record["doubt"], effect.record["last_error"]);
    let printed = Printed::by_consumer(&stack, runs).await?;
    printed.assert(&[("Parked{Step=open_ticket}", 1.0), ("ParkedInDoubt", 1.0)]);

    let refused = decide(&stack, &effect, "retry").await?;
    assert_eq!(refused.status, 422, "no policy knows what became of it");
    assert_eq!(decide(&stack, &effect, "not_applied").await?.status, 200);
    settle(&stack).await?;
    let effect = stack.effect(&effect.effect_id).await?;
    assert_eq!((effect.is_done(), effect.attempt), (true, 1));
    assert_eq!(effect.record["history"][0]["what"], "not_applied: Ann: I looked");
    assert_eq!(stack.third_party.ledger().applied().len(), 2);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn an_old_command_whose_record_is_there_is_a_duplicate_and_costs_as_much() -> Story {
    let (stack, _) = replayed(90, "dp_done").await?;
    assert_eq!(settle(&stack).await?.total(|run| run.duplicates), 1);
    let about_effects = stack.table_proxy()?.seen_where(|seen| !is_of_a_run(seen));
    assert_eq!(about_effects.len(), 1, "{about_effects:?}");
    assert_eq!(stack.third_party.ledger().attempts().len(), 1);
    Ok(stack.finish().await?)
}

/// A consumer may have been paused for that long.
#[tokio::test]
async fn a_command_younger_than_records_are_kept_is_called() -> Story {
    let (stack, _) = replayed(89, "dp_late").await?;
    assert_eq!(settle(&stack).await?.total(|run| run.done), 1);
    assert_eq!(stack.third_party.ledger().applied().len(), 2);
    Ok(stack.finish().await?)
}
