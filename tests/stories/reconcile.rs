//! Reconciliation: what a provider could not deliver is recovered, and done once.

mod gitlab;
mod limits;
mod lists;
mod marks;
mod retention;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use local::{
    config::Config,
    http::Answer,
    provider_api::{
        Manners,
        deliveries::Deliverer,
        events::Listed,
        github::{self, HOOK},
        stripe,
    },
    proxy::{End, Fault, FaultProxy, Seen},
    server::ANY_PORT,
    stack::Stack,
    third_party::ThirdParty,
};
use serde_json::Value as Json;
use toml::{Table, Value};

use crate::{
    printed::Printed,
    setup::{PATIENCE, Story, builder, config, deliver, dispute_about, issue, settle},
};

/// A stack between a provider's API and its webhooks, with a fault proxy on each path.
struct Told<P> {
    stack: Stack,
    provider: P,
    /// From the consumer to the provider's API.
    api: FaultProxy,
    /// From the provider to ingest.
    proxy: FaultProxy,
}

/// A source with an interval that is short enough for a test.
fn reconciled(config: &mut Config, source: &str, url: &str, rest: &str) -> Result<()> {
    let mut table: Table = rest.parse()?;
    for (name, value) in [("every", "1s"), ("key", "PROVIDER_API_KEY"), ("url", url)] {
        table.insert(name.into(), value.into());
    }
    let source = config.table()["sources"][source].as_table_mut().context("no such source")?;
    source.insert("reconcile".into(), Value::Table(table));
    Ok(())
}

async fn stripe_with(rest: &str) -> Result<Told<Listed>> {
    let provider = stripe::start().await?;
    let api = FaultProxy::start(&provider.url()).await?;
    let mut config = config()?;
    reconciled(&mut config, "stripe", &api.url(), rest)?;
    let stack = builder(config)?.start().await?;
    let proxy = FaultProxy::start(&stack.url()).await?;
    provider.send_to(&proxy.url(), stack.config.source("stripe")?);
    // From here on missing events are recovered.
    stack.run_consumer().await?;
    Ok(Told { stack, provider, api, proxy })
}

async fn github() -> Result<Told<Deliverer>> {
    let provider = github::start().await?;
    let api = FaultProxy::start(&provider.url()).await?;
    let mut config = config()?;
    reconciled(&mut config, "github", &api.url(), "repository = 'octo/hello'\nhook = 1")?;
    let stack = builder(config)?.start().await?;
    let proxy = FaultProxy::start(&stack.url()).await?;
    provider.send_to(&proxy.url(), stack.config.source("github")?);
    stack.run_consumer().await?;
    Ok(Told { stack, provider, api, proxy })
}

/// A provider whose settings can be changed.
trait Behaves {
    fn behave(&self, change: impl FnOnce(&mut Manners));
}

impl Behaves for Listed {
    fn behave(&self, change: impl FnOnce(&mut Manners)) {
        Self::behave(self, change);
    }
}

impl Behaves for Deliverer {
    fn behave(&self, change: impl FnOnce(&mut Manners)) {
        Self::behave(self, change);
    }
}

impl<P: Behaves> Told<P> {
    /// Makes the provider refuse requests for this long, and waits for the first refusal. The fault proxy then records requests from there.
    async fn turned_away_for(&self, time: Duration, status: u16) -> Result<()> {
        loop {
            self.provider.behave(|manners| manners.limited_until = Timestamp::now() + time);
            self.api.forget();
            while self.api.seen().is_empty() {
                self.stack.run_consumer().await?;
            }
            // On a slow machine the request may have come too late.
            if self.api.seen()[0].end == End::Upstream(status) {
                return Ok(());
            }
        }
    }
}

impl<P> Told<P> {
    /// Runs the consumer until this many effects have been applied, and then until everything is settled.
    async fn until_applied(&self, count: usize) -> Result<usize> {
        let (began, mut deaths) = (Instant::now(), 0);
        while self.stack.third_party.ledger().applied().len() < count {
            let applied = self.stack.third_party.ledger().applied().len();
            ensure!(
                began.elapsed() < PATIENCE,
                "{applied} of {count}\n{}",
                self.stack.consumer.log().tail(60)
            );
            if self.stack.run_consumer().await.is_err() {
                deaths += 1;
                // A dead consumer's turn blocks the others for a minute.
                edit_turns(&self.stack, |turn| turn["lease_until"] = 0.into()).await?;
            }
        }
        settle(&self.stack).await?;
        Ok(deaths)
    }

    /// Runs the consumer until the provider has been asked again.
    async fn look_again(&self, path: &str) -> Result<()> {
        let lists = |seen: &Seen| seen.method == "GET" && seen.path.starts_with(path);
        let seen = self.api.seen_where(lists).len();
        while self.api.seen_where(lists).len() == seen {
            self.stack.run_consumer().await?;
        }
        Ok(())
    }

    /// Asserts that each effect was applied once, by one call.
    fn each_once(&self, count: usize) {
        let ledger = self.stack.third_party.ledger();
        assert_eq!((ledger.applied().len(), ledger.attempts().len()), (count, count), "{ledger:#?}");
    }
}

fn issue_about(number: u64) -> Result<local::webhook::Webhook> {
    Ok(issue()?.edited(|event| event["issue"]["number"] = number.into()))
}

fn asks(seen: &Seen) -> bool {
    seen.method == "POST"
}

/// Changes the records of turns.
async fn edit_turns(stack: &Stack, edit: impl Fn(&mut Json)) -> Result<()> {
    for mut item in stack.table()?.scan().await? {
        if item["run_id"] == ":reconcile" {
            edit(&mut item);
            stack.table()?.put(&item).await?;
        }
    }
    Ok(())
}

/// The records of what was recovered.
async fn recovered(stack: &Stack) -> Result<Vec<Json>> {
    let items = stack.table()?.scan().await?;
    Ok(items.into_iter().filter(|item| item.get("recovered_at").is_some()).collect())
}

#[tokio::test]
async fn what_stripe_could_not_deliver_is_fetched_and_done_once() -> Story {
    let told = stripe_with("").await?;
    assert!(told.provider.send(dispute_about("dp_before")?).await);
    told.proxy.close().await;
    for number in 0..3 {
        assert!(!told.provider.send(dispute_about(&format!("dp_{number}"))?).await);
    }
    told.until_applied(4).await?;
    told.each_once(4);
    assert_eq!(recovered(&told.stack).await?.len(), 3, "the one that was delivered is none of them");

    // It is marked as recovered and counted, and a late delivery is a duplicate.
    let shown = told.stack.get("/runs/stripe.evt_dp_1").await?.json();
    assert!(shown["effects"][0]["recovered_at"].is_string(), "{shown}");
    let printed = Printed::by_consumer(&told.stack, 2).await?;
    printed.assert(&[("Recovered", 3.0), ("ReconcileFailed", 0.0)]);
    assert_eq!(printed.outcomes().get("recovered"), Some(&3));
    told.proxy.open().await?;
    assert!(told.provider.send(dispute_about("dp_1")?).await);
    settle(&told.stack).await?;
    told.each_once(4);
    Ok(told.stack.finish().await?)
}

#[tokio::test]
async fn a_missed_github_delivery_arrives_by_redelivery() -> Story {
    let told = github().await?;
    assert!(told.provider.send(issue_about(1)?).await);
    told.proxy.close().await;
    for number in 2..5 {
        assert!(!told.provider.send(issue_about(number)?).await);
    }
    // Ingest is still unreachable: the redelivery fails again.
    told.stack.run_consumer().await?;
    told.proxy.open().await?;
    // The first scan after ingest is reachable again requests everything.
    told.api.forget();
    while told.api.seen_where(asks).is_empty() {
        told.stack.run_consumer().await?;
    }
    let looks = told.api.seen_where(|seen| seen.path.ends_with("/deliveries")).len();
    assert_eq!((looks, told.api.seen_where(asks).len()), (1, 3));
    told.until_applied(8).await?;
    told.each_once(8);
    let before = told.provider.redelivered();
    told.look_again(HOOK).await?;
    assert_eq!(told.provider.redelivered(), before, "what has arrived is not asked for");
    Ok(told.stack.finish().await?)
}

#[tokio::test]
async fn an_event_that_arrives_both_ways_is_done_once() -> Story {
    let told = stripe_with("events = 'all'").await?;
    // Each is delivered while it is fetched, and while the consumer works on either.
    for number in 0..4 {
        let event = dispute_about(&format!("dp_{number}"))?;
        let (delivered, run) = tokio::join!(told.provider.send(event.clone()), told.stack.run_consumer());
        assert!(delivered && run.is_ok());
        told.stack.deliver(&event).await?;
    }
    told.until_applied(4).await?;
    let lists = |seen: &Seen| seen.path == "/v1/events";
    let looked = told.api.seen_where(lists).len();
    while told.api.seen_where(lists).len() < looked + 2 {
        told.stack.run_consumer().await?;
    }
    settle(&told.stack).await?;
    told.each_once(4);
    Ok(told.stack.finish().await?)
}

#[tokio::test]
async fn a_provider_that_lies_is_found_out_by_asking_for_everything() -> Story {
    let told = stripe_with("events = 'all'").await?;
    told.provider.behave(|manners| manners.lies = true);
    told.proxy.close().await;
    assert!(!told.provider.send(dispute_about("dp_1")?).await);
    told.until_applied(1).await?;
    told.each_once(1);
    Ok(told.stack.finish().await?)
}

#[tokio::test]
async fn a_redelivery_that_never_comes_is_asked_for_again() -> Story {
    let told = github().await?;
    told.provider.behave(|manners| manners.lies = true);
    told.proxy.close().await;
    told.provider.send(issue_about(1)?).await;
    told.proxy.open().await?;
    while told.api.seen_where(asks).len() < 2 {
        told.stack.run_consumer().await?;
    }
    assert_eq!(told.provider.redelivered(), 0);
    told.provider.behave(|manners| manners.lies = false);
    told.until_applied(2).await?;
    told.each_once(2);
    Ok(told.stack.finish().await?)
}

/// The provider's clock differs, in either direction, and its lists show an event late.
#[tokio::test]
async fn clocks_that_differ_and_lists_that_are_late_lose_nothing() -> Story {
    for ahead in [-240, 3] {
        let told = stripe_with("").await?;
        // The last scan was an hour ago.
        edit_turns(&told.stack, |turn| {
            let mut position: Json = serde_json::from_str(turn["position"].as_str().unwrap()).unwrap();
            position["floor"] = (Timestamp::now() - SignedDuration::from_hours(1)).to_string().into();
            turn["position"] = position.to_string().into();
        })
        .await?;
        told.provider.behave(|manners| {
            manners.ahead = SignedDuration::from_secs(ahead);
            manners.shows_after = SignedDuration::from_secs(2);
        });
        told.proxy.close().await;
        told.provider.send(dispute_about("dp_1")?).await;
        told.until_applied(1).await?;
        told.each_once(1);
        told.stack.finish().await?;
    }
    Ok(())
}

/// Pages of one event, so that a scan has a boundary at every event.
#[tokio::test]
async fn the_cursor_survives_a_kill_at_every_boundary_of_fetching() -> Story {
    let told = stripe_with("").await?;
    told.provider.behave(|manners| manners.per_page = 1);
    told.proxy.close().await;
    for number in 0..3 {
        told.provider.send(dispute_about(&format!("dp_{number}"))?).await;
    }
    let kill = || told.stack.consumer.killer().hook();
    let table = told.stack.table_proxy()?;
    let lists = |seen: &Seen| seen.path == "/v1/events";
    let turns = |seen: &Seen| seen.is("UpdateItem") && seen.mentions(":reconcile");
    let enqueues = |seen: &Seen| seen.is("PutItem") && seen.mentions("recovered_at");
    let killed = [
        told.api.once(lists, Fault::HookInstead(kill())),
        told.api.once(lists, Fault::HookAfter(kill())),
        table.once(turns, Fault::HookInstead(kill())),
        table.once(turns, Fault::HookAfter(kill())),
        table.once(enqueues, Fault::HookInstead(kill())),
        table.once(enqueues, Fault::HookAfter(kill())),
        table.once(turns, Fault::HookAfter(kill())),
        table.once(turns, Fault::HookInstead(kill())),
    ];
    let deaths = told.until_applied(3).await?;
    assert_eq!((deaths, killed.iter().map(|killed| killed.count()).sum::<usize>()), (8, 8));
    told.each_once(3);
    Ok(told.stack.finish().await?)
}

#[tokio::test]
async fn the_cursor_survives_a_kill_at_every_boundary_of_asking() -> Story {
    let told = github().await?;
    told.provider.behave(|manners| manners.per_page = 1);
    told.proxy.close().await;
    for number in 0..3 {
        told.provider.send(issue_about(number)?).await;
    }
    told.proxy.open().await?;
    let kill = || told.stack.consumer.killer().hook();
    let table = told.stack.table_proxy()?;
    let lists = |seen: &Seen| seen.method == "GET" && seen.path.starts_with(HOOK);
    let turns = |seen: &Seen| seen.is("UpdateItem") && seen.mentions(":reconcile");
    let killed = [
        told.api.once(lists, Fault::HookInstead(kill())),
        told.api.once(lists, Fault::HookAfter(kill())),
        told.api.once(asks, Fault::HookInstead(kill())),
        told.api.once(asks, Fault::HookAfter(kill())),
        table.once(turns, Fault::HookInstead(kill())),
        table.once(turns, Fault::HookAfter(kill())),
        table.once(turns, Fault::HookAfter(kill())),
    ];
    let deaths = told.until_applied(6).await?;
    assert_eq!((deaths, killed.iter().map(|killed| killed.count()).sum::<usize>()), (7, 7));
    told.each_once(6);
    Ok(told.stack.finish().await?)
}

/// GitHub reports when its limit is reset.
#[tokio::test]
async fn a_provider_that_wants_a_pause_has_one() -> Story {
    let told = github().await?;
    told.proxy.close().await;
    told.provider.send(issue_about(1)?).await;
    told.proxy.open().await?;
    told.turned_away_for(Duration::from_secs(4), 403).await?;
    told.until_applied(2).await?;
    let asked = told.api.seen();
    let pause = asked[1].at.duration_since(asked[0].at);
    assert!(pause >= SignedDuration::from_secs(2), "asked again after {pause}");
    told.each_once(2);
    Ok(told.stack.finish().await?)
}

/// A provider that does not respond delays its own source, and no effect.
#[tokio::test]
async fn a_provider_that_hangs_delays_no_effect() -> Story {
    let told = stripe_with("").await?;
    let hangs = told.api.always(|_| true, Fault::HangBefore);
    let meanwhile = async {
        hangs.within(PATIENCE).await?;
        deliver(&told.stack, &dispute_about("dp_1")?).await?;
        let soon = Duration::from_secs(5);
        told.stack.third_party.until(soon, |ledger| ledger.applied().len() == 1).await
    };
    let runs = async {
        while told.stack.third_party.ledger().applied().is_empty() {
            told.stack.run_consumer_within(Duration::from_secs(9)).await?;
        }
        Ok(())
    };
    tokio::try_join!(meanwhile, runs)?;
    told.api.heal();
    told.each_once(1);
    Ok(told.stack.finish().await?)
}

/// Events older than the first scan are not recovered: another handler may have done them.
#[tokio::test]
async fn what_happened_before_is_left_alone_and_a_refusal_is_told() -> Story {
    let provider = stripe::start().await?;
    let api = FaultProxy::start(&provider.url()).await?;
    provider.behave(|manners| manners.ahead = SignedDuration::from_secs(-2));
    provider.send(dispute_about("dp_before")?).await;
    provider.behave(|manners| manners.ahead = SignedDuration::ZERO);
    let mut config = config()?;
    reconciled(&mut config, "stripe", &api.url(), "")?;
    let elsewhere = ThirdParty::start(ANY_PORT).await?;
    let lists = |seen: &Seen| seen.path == "/v1/events";
    let redirect = Answer::status(307).with("location", &elsewhere.url());
    let redirected = api.once(lists, Fault::Answer(redirect));
    let stack = builder(config)?.env("PROVIDER_API_KEY", "another").start().await?;
    while redirected.count() == 0 {
        stack.run_consumer().await?;
    }
    api.forget();
    while api.seen_where(lists).is_empty() {
        stack.run_consumer().await?;
    }
    stack
        .consumer
        .log()
        .until(PATIENCE, |lines| lines.iter().any(|line| line.text.contains("the provider refuses")))
        .await?;
    stack.deploy(&[("PROVIDER_API_KEY", local::config::API_KEY)]);
    while !api.seen_where(lists).iter().any(Seen::succeeded) {
        stack.run_consumer().await?;
    }
    assert!(recovered(&stack).await?.is_empty());
    assert!(elsewhere.ledger().attempts().is_empty(), "the key went elsewhere");
    Ok(stack.finish().await?)
}
