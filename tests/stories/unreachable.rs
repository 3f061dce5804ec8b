//! Unreachable brokers. A run reports them at its end, and does everything else.

use local::{proxy::Fault, runtime_api::InvokeError, stack::Effect};

use crate::{
    backlog::put_due,
    drain::side_by_side,
    printed::Printed,
    setup::{Story, builder, config, consumes, deliver, dispute_about, stack},
};

/// More records than are read at a time, and than any run of an earlier version has processed.
const BACKLOG: usize = 500;

fn is_failure(error: &InvokeError) -> bool {
    matches!(error, InvokeError::Answered { .. })
}

#[tokio::test]
async fn a_broker_that_hangs_is_not_an_empty_topic() -> Story {
    let stack = stack().await?;
    stack.broker_proxy.always(|_| true, Fault::HangBefore);
    assert!(stack.run_consumer().await.is_err_and(|error| is_failure(&error)));
    stack.broker_proxy.heal();
    assert_eq!(stack.run_consumer().await?.outcome, "drained");
    // By now the process has made all requests that it makes only once.
    stack.broker_proxy.always(|_| true, Fault::HangBefore);
    assert!(stack.run_consumer().await.is_err_and(|error| is_failure(&error)));
    let printed = Printed::by_consumer(&stack, 3).await?;
    printed.assert(&[("BrokerUnreachable", 2.0), ("FailedRuns", 2.0), ("Runs", 1.0)]);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn an_empty_topic_is_silent_at_a_broker_that_answers() -> Story {
    let stack = stack().await?;
    stack.broker_proxy.always(consumes, Fault::HangBefore);
    for _ in 0..2 {
        assert_eq!(stack.run_consumer().await?.outcome, "drained");
    }
    let printed = Printed::by_consumer(&stack, 2).await?;
    printed.assert(&[("BrokerUnreachable", 0.0), ("FailedRuns", 0.0), ("Runs", 2.0)]);
    Ok(stack.finish().await?)
}

/// Nothing listens, or nothing responds.
#[tokio::test]
async fn a_broker_that_is_down_fails_the_run_only_at_its_end() -> Story {
    let stories = [false, true].map(async |is_silent| {
        let stack = builder(config()?)?.brokers(2).start().await?;
        let lost = stack.more_brokers[0].proxy();
        lost.always(|_| true, Fault::CutBefore);
        for number in 0..12 {
            deliver(&stack, &dispute_about(&format!("dp_{number}"))?).await?;
        }
        let deferred = stack.effects().await?.len();
        assert!((1..12).contains(&deferred), "{deferred} of 12 are the lost broker's");
        lost.heal();
        if is_silent {
            lost.always(|_| true, Fault::HangBefore);
        } else {
            lost.close().await;
        }
        assert!(stack.run_consumer().await.is_err_and(|error| is_failure(&error)));
        assert_eq!(stack.third_party.ledger().applied().len(), 12, "the other broker's, and what was due");
        Printed::by_consumer(&stack, 1).await?.assert(&[
            ("BrokerUnreachable", 1.0),
            ("Received", (12 - deferred) as f64),
            ("FromAgenda", deferred as f64),
            ("Done", 12.0),
        ]);
        Ok(stack.finish().await?)
    });
    side_by_side(stories).await
}

#[tokio::test]
async fn one_run_does_all_that_is_due_without_the_broker() -> Story {
    let stack = stack().await?;
    put_due(&stack, BACKLOG).await?;
    stack.broker_proxy.close().await;
    assert!(stack.run_consumer().await.is_err_and(|error| is_failure(&error)));
    let effects = stack.effects().await?;
    assert_eq!((effects.len(), effects.iter().all(Effect::is_done)), (BACKLOG, true));
    let ledger = stack.third_party.ledger();
    // On a busy machine a call may take too long, and be repeated.
    assert_eq!((ledger.applied().len(), ledger.applied_by_key().len()), (BACKLOG, BACKLOG));
    let printed = Printed::by_consumer(&stack, 1).await?;
    printed.assert(&[("BrokerUnreachable", 1.0), ("Done", BACKLOG as f64)]);
    Ok(stack.finish().await?)
}
