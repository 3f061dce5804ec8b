//! Events that a provider no longer keeps can't be recovered. That is reported and counted, and everything younger is recovered.

use std::sync::Arc;

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use local::{
    hook::Hook,
    provider_api::github::HOOK,
    proxy::{Fault, Seen},
    stack::Stack,
};
use serde_json::Value as Json;

use super::{Told, asks, edit_turns, github, issue_about, recovered, stripe_with};
use crate::{
    printed::Printed,
    setup::{Story, dispute_about},
};

/// As if the last scan were this long ago.
async fn not_looked_for(stack: &Stack, time: SignedDuration) -> Result<()> {
    edit_turns(stack, |turn| {
        let then = Timestamp::now() - time;
        let mut position: Json = serde_json::from_str(turn["position"].as_str().unwrap()).unwrap();
        position["floor"] = (then - SignedDuration::from_hours(24)).to_string().into();
        position["looked_until"] = then.to_string().into();
        position["look"] = Json::Null;
        turn["position"] = position.to_string().into();
        turn["next_at"] = 0.into();
    })
    .await
}

/// The high-water mark.
async fn looked_until(stack: &Stack) -> Result<Timestamp> {
    let items = stack.table()?.scan().await?;
    let turn = items.iter().find(|item| item["run_id"] == ":reconcile").unwrap();
    let position: Json = serde_json::from_str(turn["position"].as_str().unwrap())?;
    Ok(position["looked_until"].as_str().unwrap().parse()?)
}

/// The consumer was paused for forty days, and Stripe keeps events for thirty.
#[tokio::test]
async fn a_time_that_is_out_of_reach_is_told_once_and_the_rest_is_fetched() -> Story {
    let told = stripe_with("").await?;
    told.proxy.close().await;
    for days in [35, 5] {
        told.provider.behave(|manners| manners.ahead = SignedDuration::from_hours(-24 * days));
        told.provider.send(dispute_about(&format!("dp_{days}"))?).await;
    }
    told.provider.behave(|manners| manners.ahead = SignedDuration::ZERO);
    not_looked_for(&told.stack, SignedDuration::from_hours(40 * 24)).await?;
    told.until_applied(1).await?;
    told.each_once(1);
    let keys: Vec<_> = recovered(&told.stack).await?.iter().map(|item| item["run_id"].to_string()).collect();
    assert_eq!(keys, ["\"stripe.evt_dp_5\""]);

    // The cursor continues, and the loss is reported once.
    let age = Timestamp::now().duration_since(looked_until(&told.stack).await?);
    assert!(age < SignedDuration::from_mins(2), "looked until {age} ago");
    told.look_again("/v1/events").await?;
    let oldest = (Timestamp::now() - SignedDuration::from_hours(24 * 30 + 1)).as_second();
    let asked =
        |seen: &Seen| seen.query.split("created%5Bgte%5D=").nth(1)?.split('&').next()?.parse::<i64>().ok();
    let asked: Vec<_> = told.api.seen().iter().filter_map(asked).collect();
    assert!(asked.len() > 1 && asked.iter().all(|from| *from > oldest), "no older than {oldest}: {asked:?}");
    let printed = Printed::by_consumer(&told.stack, 3).await?;
    printed.assert(&[("Recovered", 1.0), ("Unrecovered", 1.0), ("ReconcileFailed", 0.0)]);
    let told_of: Vec<_> = printed.of("out_of_reach").collect();
    let time = |name: &str| told_of[0][name].as_str().unwrap().parse::<Timestamp>().unwrap();
    let days = |at: Timestamp| Timestamp::now().duration_since(at).as_hours() / 24;
    assert_eq!((told_of.len(), days(time("since")), days(time("until"))), (1, 40, 30));
    Ok(told.stack.finish().await?)
}

/// GitHub lists a delivery, and has removed it when it is requested: one is lost, and the others are not delayed by it.
#[tokio::test]
async fn a_delivery_that_is_gone_when_it_is_asked_for_is_lost_and_told() -> Story {
    let Told { stack, provider, api, proxy } = github().await?;
    let told = Told { stack, provider: Arc::new(provider), api, proxy };
    told.proxy.close().await;
    told.provider.behave(|manners| manners.ahead = SignedDuration::from_hours(-70));
    told.provider.send(issue_about(1)?).await;
    told.provider.behave(|manners| manners.ahead = SignedDuration::ZERO);
    told.provider.send(issue_about(2)?).await;
    told.proxy.open().await?;
    // It expires once it has been listed.
    let provider = told.provider.clone();
    let age = Hook::new(move || {
        let provider = provider.clone();
        async move { provider.behave(|manners| manners.keeps = SignedDuration::from_hours(69)) }
    });
    told.api.once(asks, Fault::HookBefore(age));
    not_looked_for(&told.stack, SignedDuration::from_hours(71)).await?;
    told.until_applied(2).await?;
    told.look_again(HOOK).await?;
    told.look_again(HOOK).await?;
    let printed = Printed::by_consumer(&told.stack, 2).await?;
    printed.assert(&[("Recovered", 1.0), ("Unrecovered", 1.0), ("ReconcileFailed", 0.0)]);
    let lost: Vec<_> = printed.of("lost").collect();
    assert_eq!(lost.len(), 1);
    assert!(lost[0]["event_id"].is_string() && lost[0]["error"].is_string(), "{lost:?}");
    told.each_once(2);
    Ok(told.stack.finish().await?)
}
