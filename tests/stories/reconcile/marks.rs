//! Effects of redelivered events are marked as recovered in their run.

use std::time::Instant;

use anyhow::{Result, ensure};
use jiff::Timestamp;
use local::{
    http::Answer,
    provider_api::github::HOOK,
    proxy::{Fault, Seen},
    stack::Stack,
};

use super::{Told, edit_turns, github, issue_about, recovered};
use crate::setup::{PATIENCE, Story, settle};

/// The number of requested redeliveries that have not arrived yet.
async fn still_asked(stack: &Stack) -> Result<usize> {
    let items = stack.table()?.scan().await?;
    Ok(items.iter().filter(|item| item["run_id"] == ":asked:github").count())
}

/// Runs the consumer until the requested redeliveries have been seen to arrive.
pub(super) async fn until_marked<P>(told: &Told<P>, asked: &str) -> Result<()> {
    let began = Instant::now();
    loop {
        let items = told.stack.table()?.scan().await?;
        if !items.iter().any(|item| item["run_id"] == asked && item.get("lost").is_none()) {
            return Ok(());
        }
        ensure!(began.elapsed() < PATIENCE, "{}", told.stack.consumer.log().tail(60));
        if told.stack.run_consumer().await.is_err() {
            edit_turns(&told.stack, |turn| turn["lease_until"] = 0.into()).await?;
        }
    }
}

/// The consumer that marks it dies twice. An event that was delivered normally has no mark.
#[tokio::test]
async fn what_github_delivers_again_is_marked_in_its_run() -> Story {
    let told = github().await?;
    assert!(told.provider.send(issue_about(1)?).await);
    settle(&told.stack).await?;
    told.proxy.close().await;
    let began = Timestamp::now();
    assert!(!told.provider.send(issue_about(2)?).await);
    told.proxy.open().await?;
    // At first GitHub does not report our response: that delays only the mark.
    let details =
        |seen: &Seen| seen.method == "GET" && seen.path.rsplit('/').next().unwrap().starts_with("100");
    let untold = told.api.always(details, Fault::Answer(Answer::status(500)));
    told.until_applied(4).await?;
    while untold.count() == 0 {
        told.stack.run_consumer().await?;
    }
    assert_eq!((still_asked(&told.stack).await?, recovered(&told.stack).await?.len()), (1, 0));
    told.api.heal();

    let kill = || told.stack.consumer.killer().hook();
    let table = told.stack.table_proxy()?;
    let marks = |seen: &Seen| seen.is("UpdateItem") && seen.mentions("recovered_at");
    table.once(marks, Fault::HookAfter(kill()));
    table.once(|seen| seen.is("DeleteItem") && seen.mentions(":asked:"), Fault::HookInstead(kill()));
    until_marked(&told, ":asked:github").await?;
    let marked = recovered(&told.stack).await?;
    assert_eq!(marked.len(), 2, "both effects of one run: {marked:#?}");
    let shown = told.stack.get(&format!("/runs/{}", marked[0]["run_id"].as_str().unwrap())).await?.json();
    for effect in shown["effects"].as_array().unwrap() {
        let at: Timestamp = effect["recovered_at"].as_str().unwrap().parse()?;
        assert!(
            at >= Timestamp::from_millisecond(began.as_millisecond())? && at < Timestamp::now(),
            "{shown}"
        );
        assert_eq!(effect["status"], "done", "a mark changes nothing else");
    }

    // From then on there are no more requests about it.
    let details =
        |seen: &Seen| seen.method == "GET" && seen.path.rsplit('/').next().unwrap().starts_with("100");
    told.api.forget();
    told.look_again(HOOK).await?;
    assert_eq!(told.api.seen_where(details).len(), 0);
    told.each_once(4);
    Ok(told.stack.finish().await?)
}
