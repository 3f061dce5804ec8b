//! The consumer killed (SIGKILL) at critical moments. The reference implementation loses the command at the first of them.

use local::{
    broker::Profile,
    proxy::{Fault, Seen},
    stack::Stack,
    third_party::Behaviour,
};

use crate::{
    drain::ack,
    setup::{
        Story, TICKETS, deliver, dispute, dispute_about, only_effect, park_in_doubt, produces, settle, stack,
        stack_with, table,
    },
};

/// The claim of a fresh effect: ingest writes nothing while the broker works.
fn claim(seen: &Seen) -> bool {
    seen.is("PutItem")
}

fn kill_consumer(stack: &Stack) -> local::hook::Hook {
    stack.consumer.killer().hook()
}

#[tokio::test]
async fn killed_after_the_claim_before_the_call_the_effect_is_not_lost() -> Story {
    let stack = stack().await?;
    stack.table_proxy()?.once(claim, Fault::HookAfter(kill_consumer(&stack)));
    deliver(&stack, &dispute()?).await?;
    let settling = settle(&stack).await?;
    assert_eq!(settling.deaths(), 1);
    let ledger = stack.third_party.ledger();
    assert_eq!((ledger.attempts().len(), ledger.applied().len()), (1, 1));
    let effect = only_effect(&stack).await?;
    assert_eq!((effect.is_done(), effect.attempt), (true, 2), "the crashed attempt is counted");
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn killed_after_the_call_before_the_commit_the_key_makes_it_once() -> Story {
    let stack = stack().await?;
    stack.third_party.script(TICKETS, [Behaviour::apply().with_hook(kill_consumer(&stack))]);
    deliver(&stack, &dispute()?).await?;
    let settling = settle(&stack).await?;
    assert_eq!(settling.deaths(), 1);
    let ledger = stack.third_party.ledger();
    assert_eq!((ledger.applied().len(), ledger.deduped().len()), (1, 1), "asked twice, applied once");
    assert!(only_effect(&stack).await?.is_done());
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn killed_after_the_commit_before_the_ack_it_is_a_duplicate() -> Story {
    let stack = stack().await?;
    stack.broker_proxy.once(ack, Fault::HookInstead(kill_consumer(&stack)));
    deliver(&stack, &dispute()?).await?;
    let settling = settle(&stack).await?;
    assert_eq!((settling.deaths(), settling.total(|run| run.duplicates)), (1, 1));
    assert_eq!(stack.third_party.ledger().attempts().len(), 1);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn killed_after_the_claim_without_deduplication_it_is_parked() -> Story {
    let stack = stack_with(|config| park_in_doubt(config, "open_ticket")).await?;
    stack.table_proxy()?.once(claim, Fault::HookAfter(kill_consumer(&stack)));
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    let effect = only_effect(&stack).await?;
    assert!(
        effect.is_parked() && effect.last_error().contains("attempt 1 did not report back"),
        "{effect:?}"
    );
    assert_eq!(stack.third_party.ledger().attempts().len(), 0);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn killed_after_the_call_at_a_third_party_that_does_not_dedupe_it_is_called_no_second_time() -> Story {
    let stack = stack_with(|config| park_in_doubt(config, "open_ticket")).await?;
    stack.third_party.script(TICKETS, [Behaviour::apply().with_hook(kill_consumer(&stack))]);
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    assert!(only_effect(&stack).await?.is_parked());
    assert_eq!(stack.third_party.ledger().attempts().len(), 1);
    Ok(stack.finish().await?)
}

/// Its message has left the topic by then: the record is the only copy.
#[tokio::test]
async fn killed_during_a_slow_call_whose_message_is_acked_it_is_taken_over_from_the_agenda() -> Story {
    let stack = stack_with(|config| {
        table(config.table(), "consumer").insert("slow_call".into(), "100ms".into());
    })
    .await?;
    let acked = stack.broker_proxy.once(ack, Fault::HookAfter(kill_consumer(&stack)));
    stack.third_party.script(TICKETS, [Behaviour::hang().after_applying()]);
    deliver(&stack, &dispute()?).await?;
    let killed = stack.run_consumer().await;
    assert!(killed.is_err_and(|error| error.is_death()));
    let settling = settle(&stack).await?;
    assert_eq!(acked.count(), 1);
    assert_eq!((settling.total(|run| run.received), settling.total(|run| run.from_agenda)), (0, 1));
    let effect = only_effect(&stack).await?;
    assert_eq!((effect.is_done(), effect.attempt), (true, 2));
    assert_eq!(stack.third_party.ledger().applied().len(), 1);
    Ok(stack.finish().await?)
}

/// Other keys wait for the 2 s after which the broker redelivers a dead owner's messages to a new one, and for its next tick; the dead consumer's
/// own effect waits for its lease.
#[tokio::test]
async fn a_claim_that_a_dead_consumer_holds_does_not_hold_up_its_partition() -> Story {
    // All in one partition, of which the broker delivers two messages at a time.
    let builder = crate::setup::builder(crate::setup::config()?)?.broker_profile(Profile::G0);
    let stack = builder.env("DRIFTQ_PARTITIONS", "1").start().await?;
    stack.table_proxy()?.once(claim, Fault::HookAfter(kill_consumer(&stack)));
    for number in 0..6 {
        deliver(&stack, &dispute_about(&format!("dp_{number}"))?).await?;
    }
    let killed = stack.run_consumer().await;
    assert!(killed.is_err_and(|error| error.is_death()));
    // The dead consumer's stream lease has to end first.
    let next = loop {
        let run = stack.run_consumer().await?;
        if run.received > 0 {
            break run;
        }
    };
    assert!(next.done >= 5, "{next:?}");
    settle(&stack).await?;
    let ledger = stack.third_party.ledger();
    assert_eq!(ledger.applied().len(), 6);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn ingest_killed_after_the_broker_took_the_command_answers_nothing_and_the_redelivery_is_a_duplicate()
-> Story {
    let stack = stack().await?;
    // So that the topic exists, and the next message is accepted.
    deliver(&stack, &dispute_about("dp_earlier")?).await?;
    let kill = stack.ingest.killer().hook();
    stack.broker_proxy.once(produces, Fault::HookAfter(kill));
    let answer = stack.deliver(&dispute()?).await?;
    assert!(answer.status >= 500, "{}", answer.status);
    deliver(&stack, &dispute()?).await?;
    let settling = settle(&stack).await?;
    assert_eq!(settling.total(|run| run.duplicates), 1);
    assert_eq!(stack.third_party.ledger().attempts().len(), 2);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_broker_killed_while_a_message_is_worked_on_delivers_it_again_and_it_is_a_duplicate() -> Story {
    let stack = stack().await?;
    if stack.broker.is_external() {
        println!("skipped: the broker of DRIFTQ_HTTP_URL is not ours to kill");
        return Ok(stack.finish().await?);
    }
    let broker = stack.broker.clone();
    let restart = local::hook::Hook::new(move || {
        let broker = broker.clone();
        async move { broker.restart().await.expect("the broker starts again") }
    });
    stack.third_party.script(TICKETS, [Behaviour::apply().with_hook(restart)]);
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    assert_eq!(stack.third_party.ledger().attempts().len(), 1);
    Ok(stack.finish().await?)
}
