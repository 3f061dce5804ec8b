//! The limits of a turn, and that only one consumer at a time has it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use jiff::Timestamp;
use local::{
    hook::Hook,
    http::Answer,
    provider_api::github::HOOK,
    proxy::{Fault, Seen},
    stack::Stack,
};
use serde_json::Value as Json;
use tokio::sync::Notify;

use super::{
    asks, edit_turns, github, issue_about,
    lists::{paddle, paddle_event},
    recovered, stripe_with,
};
use crate::setup::{PATIENCE, Story, dispute_about, settle};

/// The record of the turn.
async fn turn(stack: &Stack) -> Result<Json> {
    let items = stack.table()?.scan().await?;
    items.into_iter().find(|item| item["run_id"] == ":reconcile").context("nobody has asked")
}

async fn says(stack: &Stack, text: &str) -> Result<()> {
    let log = stack.consumer.log();
    log.until(PATIENCE, |lines| lines.iter().any(|line| line.text.contains(text))).await?;
    Ok(())
}

/// A consumer is delayed during its turn until another one has taken it. What it has fetched is done once, and it does not change the other one's
/// record.
#[tokio::test]
async fn a_consumer_that_has_lost_its_turn_does_not_move_the_cursor() -> Story {
    let told = stripe_with("").await?;
    told.proxy.close().await;
    told.provider.send(dispute_about("dp_1")?).await;
    let go_on = Arc::new(Notify::new());
    let held = go_on.clone();
    let held = Hook::new(move || {
        let held = held.clone();
        async move { held.notified().await }
    });
    let listed = told.api.once(|seen| seen.path == "/v1/events", Fault::HookBefore(held));
    let taken = async {
        listed.within(PATIENCE).await?;
        let until = Timestamp::now() + Duration::from_secs(60);
        edit_turns(&told.stack, |turn| {
            turn["owner"] = "another".into();
            turn["lease_until"] = until.as_millisecond().into();
        })
        .await?;
        go_on.notify_one();
        turn(&told.stack).await
    };
    let runs = async {
        while listed.count() == 0 {
            told.stack.run_consumer().await?;
        }
        Ok(())
    };
    let (taken, ()) = tokio::try_join!(taken, runs)?;
    assert_eq!(turn(&told.stack).await?, taken);
    says(&told.stack, "the progress of a source's reconciliation was not recorded").await?;

    // The other consumer has died, and its turn is over.
    edit_turns(&told.stack, |turn| turn["lease_until"] = 0.into()).await?;
    told.until_applied(1).await?;
    told.each_once(1);
    assert_eq!(recovered(&told.stack).await?.len(), 1);
    Ok(told.stack.finish().await?)
}

/// A turn reads twenty pages, and the next turn continues where this one has stopped.
#[tokio::test]
async fn a_turn_ends_after_some_pages_and_the_next_one_goes_on() -> Story {
    let told = paddle().await?;
    told.proxy.close().await;
    told.provider.behave(|manners| manners.per_page = 1);
    for number in 0..23 {
        let kind = if number == 0 { "paid" } else { "other" };
        told.provider.send(paddle_event(&format!("evt_{number}"), kind)).await;
    }
    told.api.forget();
    let mut turns = Vec::new();
    let began = Instant::now();
    while told.stack.third_party.ledger().applied().is_empty() {
        assert!(began.elapsed() < PATIENCE, "{}", told.stack.consumer.log().tail(40));
        let before = told.api.seen().len();
        told.stack.run_consumer().await?;
        turns.extend(Some(told.api.seen().len() - before).filter(|pages| *pages > 0));
    }
    assert_eq!(turns[0], 20, "{turns:?}");
    assert!(turns[1] < 6, "it does not begin anew: {turns:?}");
    settle(&told.stack).await?;
    told.each_once(1);
    Ok(told.stack.finish().await?)
}

/// GitHub recommends a second between such requests; a turn makes thirty of them, and the next turn is a minute later.
#[tokio::test]
async fn a_turn_asks_for_so_many_deliveries_at_most() -> Story {
    let told = github().await?;
    told.proxy.close().await;
    for number in 0..32 {
        // An event that no step wants.
        told.provider.send(issue_about(number)?.with("x-github-event", "star")).await;
    }
    told.proxy.open().await?;
    while told.api.seen_where(asks).is_empty() {
        told.stack.run_consumer().await?;
    }
    assert_eq!(told.api.seen_where(asks).len(), 30);
    let pause = turn(&told.stack).await?["next_at"].as_i64().unwrap() - Timestamp::now().as_millisecond();
    assert!((50_000..=60_000).contains(&pause), "{pause} ms");
    // As if the minute were over.
    edit_turns(&told.stack, |turn| turn["next_at"] = 0.into()).await?;
    told.stack.deploy(&[]);
    while told.api.seen_where(asks).len() < 32 {
        told.stack.run_consumer().await?;
    }
    told.look_again(HOOK).await?;
    assert_eq!(told.provider.redelivered(), 32, "each was asked for once");
    Ok(told.stack.finish().await?)
}

/// An endless response, or one that is not JSON, does not count as an empty list.
#[tokio::test]
async fn an_answer_that_can_not_be_read_is_asked_for_again() -> Story {
    let told = stripe_with("").await?;
    told.proxy.close().await;
    told.provider.send(dispute_about("dp_1")?).await;
    let lists = |seen: &Seen| seen.path == "/v1/events";
    let empty = format!("{{\"data\":[]}}{}", " ".repeat(9 * 1024 * 1024));
    let large = Answer::status(200).with("content-type", "application/json").with_body(empty);
    let large = told.api.once(lists, Fault::Answer(large));
    while large.count() == 0 {
        told.stack.run_consumer().await?;
    }
    says(&told.stack, "answered more than 8388608 bytes").await?;
    let unreadable = told.api.once(lists, Fault::Answer(Answer::status(200)));
    told.until_applied(1).await?;
    assert_eq!(unreadable.count(), 1);
    told.each_once(1);
    Ok(told.stack.finish().await?)
}

/// A request times out after ten seconds, and the scan continues afterwards.
#[tokio::test]
async fn a_request_that_is_not_answered_is_given_up() -> Story {
    let told = stripe_with("").await?;
    told.proxy.close().await;
    told.provider.send(dispute_about("dp_1")?).await;
    let hangs = told.api.once(|seen| seen.path == "/v1/events", Fault::HangBefore);
    let began = Instant::now();
    while hangs.count() == 0 {
        told.stack.run_consumer_within(Duration::from_secs(60)).await?;
    }
    says(&told.stack, "a source is reconciled later").await?;
    assert!(began.elapsed() < Duration::from_secs(30), "given up after {:?}", began.elapsed());
    told.until_applied(1).await?;
    told.each_once(1);
    Ok(told.stack.finish().await?)
}
