//! Wake-ups: ingest invokes the consumer, so that a webhook does not wait for the schedule. A failed wake-up delays work until the schedule's
//! next run, and has no other effect.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use local::{
    hook::Hook,
    http::Answer,
    lambda_api::failure,
    proxy::{Fault, Seen},
    stack::{Builder, Stack},
    third_party::Behaviour,
    webhook::Webhook,
};
use serde_json::{Value, json};
use tokio::{sync::Notify, time::timeout};

use crate::{
    printed::Printed,
    setup::{
        Story, TICKETS, builder, config, deliver, dispute, dispute_about, produces, retry, settle, table,
    },
};

/// More than a woken consumer needs.
const SOON: Duration = Duration::from_secs(10);
/// How often a test is repeated on a machine that is too busy for it.
const TRIES: usize = 8;
const LATE: &str = "no answer from Lambda within 150ms";

/// A stack whose consumer waits for more work as long as ingest assumes.
fn waking() -> Result<Builder> {
    Ok(builder(config()?)?.env("IDLE_EXIT", "1s").wake_ups())
}

/// Runs a test in which wake-ups arrive. On a machine so busy that one took longer than allowed, it is repeated.
async fn told(
    builder: impl Fn() -> Result<Builder>,
    story: impl AsyncFn(&Stack) -> Result<()>,
) -> Result<()> {
    for _ in 0..TRIES {
        let stack = builder()?.start().await?;
        match story(&stack).await {
            Ok(()) => return stack.finish().await,
            Err(_) if stack.ingest.log().tail(usize::MAX).contains(LATE) => stack.abandon(),
            Err(error) => {
                stack.abandon();
                return Err(error);
            }
        }
    }
    bail!("{TRIES} times a wake-up took longer than it may")
}

fn wake_ups(stack: &Stack) -> Result<usize> {
    Ok(stack.lambda()?.accepted().len())
}

#[tokio::test]
async fn a_webhook_is_acted_on_without_a_scheduled_run() -> Result<()> {
    told(waking, async |stack| {
        deliver(stack, &dispute()?).await?;
        stack.until_settled(SOON).await?;
        ensure!(stack.third_party.ledger().applied().len() == 1 && wake_ups(stack)? == 1);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_wake_up_is_signed_with_the_session_token() -> Result<()> {
    // The API checks the signature, and that the token is part of what is signed.
    let arn = "arn:aws:lambda:us-east-1:123456789012:function:consumer";
    let session =
        || Ok(waking()?.env("AWS_SESSION_TOKEN", "a/session+token==").env("CONSUMER_FUNCTION", arn));
    told(session, async |stack| {
        deliver(stack, &dispute()?).await?;
        let accepted = stack.lambda()?.accepted();
        let [wake_up] = &accepted[..] else { bail!("{:?}", stack.lambda()?.proxy.seen()) };
        ensure!(wake_up.session_token.as_deref() == Some("a/session+token=="), "{wake_up:?}");
        ensure!(wake_up.event == json!({}), "{wake_up:?}");
        stack.until_settled(SOON).await
    })
    .await
}

#[tokio::test]
async fn a_wake_up_that_fails_is_counted_and_the_schedule_does_the_work() -> Story {
    let throttled = Fault::Answer(failure(429, "TooManyRequestsException", "Rate exceeded"));
    let faults = [
        ("Lambda answered 429 TooManyRequestsException", Some(throttled)),
        (LATE, Some(Fault::HangBefore)),
        ("no answer from Lambda: ", None),
    ];
    let stack = waking()?.ingests(1).start().await?;
    let lambda = stack.lambda()?;
    let mut failed = 0;
    for (why, fault) in faults {
        lambda.proxy.heal();
        match fault {
            Some(fault) => drop(lambda.proxy.always(|_| true, fault)),
            None => lambda.proxy.close().await,
        }
        // On a busy machine another failure may be late as well.
        let before = failed;
        while !fails(&stack, &mut failed).await?.starts_with(why) {
            assert!(failed < before + TRIES, "never {why}");
        }
    }
    assert_eq!((wake_ups(&stack)?, stack.third_party.ledger().attempts().len()), (0, 0));
    assert_eq!(settle(&stack).await?.total(|run| run.done), failed as u64);
    Ok(stack.finish().await?)
}

/// A webhook that is accepted without a wake-up. Returns the reason.
async fn fails(stack: &Stack, failed: &mut usize) -> Result<String> {
    // A new process has not tried a wake-up yet.
    stack.ingest.killer().kill().await;
    stack.ingest.warm().await?;
    *failed += 1;
    let since = Instant::now();
    deliver(stack, &dispute_about(&format!("dp_{failed}"))?).await?;
    assert!(since.elapsed() < Duration::from_secs(1), "answered after {:?}", since.elapsed());

    let printed = Printed::by_ingest(stack, *failed).await?;
    printed.assert(&[("WakeUpsFailed", *failed as f64), ("Accepted", *failed as f64)]);
    let warnings = printed.logs.iter().filter(|line| line["level"] == "WARN");
    let errors: Vec<_> = warnings.filter_map(|line| line["error"].as_str()).collect();
    assert_eq!(errors.len(), *failed, "one line each");
    Ok(errors.last().copied().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_process_wakes_at_most_once_a_second() -> Result<()> {
    told(
        || Ok(waking()?.ingests(1)),
        async |stack| {
            let mut ends = stack.lambda()?.follow();
            let since = Instant::now();
            for number in 0..12 {
                deliver(stack, &dispute_about(&format!("dp_{number}"))?).await?;
            }
            let (woken, most) = (wake_ups(stack)? as u64, 1 + since.elapsed().as_secs());
            ensure!((1..=most).contains(&woken), "{woken} in {:?}", since.elapsed());
            stack.until_settled(SOON).await?;
            ensure!(stack.third_party.ledger().applied().len() == 12, "one run does it all");

            timeout(SOON, ends.recv()).await???;
            let before = wake_ups(stack)?;
            deliver(stack, &dispute_about("dp_later")?).await?;
            ensure!(wake_ups(stack)? == before + 1, "the consumer sleeps again, and is not woken");
            stack.until_settled(SOON).await
        },
    )
    .await
}

#[tokio::test]
async fn a_webhook_without_commands_wakes_no_consumer() -> Story {
    let stack = waking()?.start().await?;
    let forged = Webhook::sample("forged.github.issues.opened")?;
    assert_eq!(stack.post_webhook(&forged).await?.status, 401);
    assert_eq!(stack.deliver(&Webhook::sample("github.push")?).await?.status, 200, "no step wants it");
    assert_eq!(stack.post_json("/runs", &[], &json!({ "step": "no such" })).await?.status, 422);
    assert_eq!(stack.get("/healthz").await?.status, 200);
    let lacking =
        dispute()?.edited(|event| drop(event["data"]["object"].as_object_mut().unwrap().remove("charge")));
    assert_eq!(stack.deliver(&lacking).await?.status, 422);
    assert_eq!(stack.lambda()?.proxy.seen().len(), 0);
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_client_wakes_the_consumer_and_so_does_a_decision_to_call() -> Result<()> {
    let once = || {
        let mut config = config()?;
        config.step("open_ticket").insert("retry".into(), retry(1).into());
        Ok(builder(config)?.env("IDLE_EXIT", "1s").wake_ups())
    };
    told(once, async |stack| {
        stack.third_party.script(TICKETS, [Behaviour::refuse(422), Behaviour::refuse(422)]);
        let request = json!({
            "step": "open_ticket", "business_key": "dp_1",
            "input": { "dispute": "dp_1", "charge": "ch_1", "amount": 5, "reason": "fraudulent" },
        });
        let started = stack.post_json("/runs", &[], &request).await?.json();
        ensure!(wake_ups(stack)? == 1, "nobody is woken by a client");
        for (woken, attempt, decision) in [(2, 1, "retry"), (3, 2, "not_applied")] {
            stack.until_settled(SOON).await?;
            decided(stack, &started, attempt, decision, 200).await?;
            ensure!(wake_ups(stack)? == woken, "nobody is woken by {decision}");
            decided(stack, &started, attempt, decision, 409).await?;
            ensure!(wake_ups(stack)? == woken, "somebody is woken by what is refused");
        }
        stack.until_settled(SOON).await?;
        ensure!(stack.third_party.ledger().applied().len() == 1);
        Ok(())
    })
    .await
}

async fn decided(stack: &Stack, run: &Value, attempt: u32, decision: &str, status: u16) -> Result<()> {
    // Another process has sent no wake-up yet.
    stack.ingest.killer().kill().await;
    let path = format!("/runs/{}/decide", run["run_id"].as_str().context("no run")?);
    let body = json!({
        "effect_id": run["effect_id"], "decision": decision, "attempt": attempt, "note": "a story",
    });
    let answer = stack.post_json(&path, &[], &body).await?;
    ensure!(answer.status == status, "{} {}", answer.status, answer.json());
    Ok(())
}

#[tokio::test]
async fn a_command_that_became_durable_late_wakes_once_more() -> Result<()> {
    told(waking, async |stack| {
        // The broker has a second, and then the command is deferred: the woken run may be over by then.
        stack.broker_proxy.once(produces, Fault::HangBefore);
        deliver(stack, &dispute()?).await?;
        ensure!(wake_ups(stack)? == 2, "woken {} times", wake_ups(stack)?);
        stack.until_settled(SOON).await
    })
    .await
}

#[tokio::test]
async fn a_wake_up_that_meets_a_running_consumer_is_kept() -> Result<()> {
    told(waking, async |stack| {
        let mut ends = stack.lambda()?.follow();
        let running = stack.run_consumer();
        let meanwhile = async {
            deliver(stack, &dispute()?).await?;
            stack.until_settled(SOON).await
        };
        let (run, met) = tokio::join!(running, meanwhile);
        met?;
        ensure!(run?.done == 1, "the one that runs does not do it");
        ensure!(
            timeout(SOON, ends.recv()).await???["outcome"] == "drained",
            "the woken one does not run afterwards"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_is_deferred_while_the_consumer_is_awake_is_acted_on() -> Result<()> {
    told(
        || Ok(waking()?.ingests(1)),
        async |stack| {
            let began = Instant::now();
            deliver(stack, &dispute()?).await?;
            stack.until_settled(SOON).await?;
            stack.broker_proxy.once(produces, Fault::Answer(Answer::partition_full()));
            deliver(stack, &dispute_about("dp_full")?).await?;
            let is_awake = began.elapsed() < Duration::from_secs(1);
            ensure!(!is_awake || wake_ups(stack)? == 1, "woken {} times", wake_ups(stack)?);
            stack.until_settled(SOON).await
        },
    )
    .await
}

#[tokio::test]
async fn a_second_consumer_that_is_woken_leaves_the_topic_to_the_first() -> Result<()> {
    // As in an account without concurrency to reserve.
    told(
        || Ok(waking()?.consumers(2)),
        async |stack| {
            let mut ends = stack.lambda()?.follow();
            let meanwhile = async {
                for number in 0..4 {
                    // Each from a process that has sent no wake-up yet.
                    stack.ingest.killer().kill().await;
                    deliver(stack, &dispute_about(&format!("dp_{number}"))?).await?;
                }
                stack.until_settled(SOON).await
            };
            let (run, met) = tokio::join!(stack.run_consumer(), meanwhile);
            run?;
            met?;
            for _ in 0..wake_ups(stack)? {
                timeout(SOON, ends.recv()).await???;
            }
            ensure!(stack.third_party.ledger().attempts().len() == 4, "called more than once each");
            Ok(())
        },
    )
    .await
}

/// The first consumer has read its last message, and is about to release the stream.
#[tokio::test]
async fn a_consumer_that_ends_looks_once_more_if_another_was_woken_meanwhile() -> Story {
    let mut config = config()?;
    // The first one does not renew it while it is delayed.
    table(config.table(), "consumer").insert("stream_lease".into(), "10s".into());
    let stack = builder(config)?.consumers(2).start().await?;
    let (ending, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let hook = {
        let (ending, go_on) = (ending.clone(), go_on.clone());
        Hook::new(move || {
            let (ending, go_on) = (ending.clone(), go_on.clone());
            async move {
                ending.notify_one();
                go_on.notified().await;
            }
        })
    };
    stack.table_proxy()?.once(releases_stream, Fault::HookBefore(hook));
    let meanwhile = async {
        timeout(SOON, ending.notified()).await?;
        deliver(&stack, &dispute()?).await?;
        let woken = stack.run_consumer().await?;
        go_on.notify_one();
        Ok::<_, anyhow::Error>(woken)
    };
    let (first, woken) = tokio::join!(stack.run_consumer(), meanwhile);
    let (first, woken) = (first?, woken?);
    assert_eq!((woken.outcome.as_str(), woken.done), ("busy", 0), "{woken:?}");
    assert_eq!((first.outcome.as_str(), first.done), ("drained", 1), "{first:?}");
    Ok(stack.finish().await?)
}

fn releases_stream(seen: &Seen) -> bool {
    seen.is("UpdateItem")
        && seen.mentions(":stream")
        && seen.mentions("attribute_not_exists(#wake_requested)")
}

#[tokio::test]
async fn an_endpoint_without_tls_elsewhere_is_refused_at_start() -> Story {
    let refused = waking()?.env("AWS_ENDPOINT_URL_LAMBDA", "http://lambda.example.com").start().await;
    let error = format!("{:#}", refused.err().context("it started")?);
    assert!(error.contains("AWS_ENDPOINT_URL_LAMBDA: http:// is for loopback only"), "{error}");
    Ok(())
}
