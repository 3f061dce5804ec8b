//! Several brokers: which one gets a command, what happens while one is down, and the result of `GET /healthz`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use local::{
    proxy::{Fault, FaultProxy},
    stack::{BrokerControl, Stack},
};
use serde_json::{Value, json};

use crate::setup::{Story, builder, config, deliver, dispute_about, produces, settle};

/// Enough keys that each of two brokers gets some, except in one of eight million runs.
const KEYS: usize = 24;

async fn two_brokers() -> Result<Stack> {
    builder(config()?)?.brokers(2).start().await
}

/// The URLs of the two brokers, as the functions have them.
fn urls(stack: &Stack) -> [String; 2] {
    [stack.broker.proxy().url(), stack.more_brokers[0].proxy().url()]
}

/// Commands that the broker accepted, by business key.
fn taken_by(proxy: &FaultProxy) -> BTreeMap<String, usize> {
    let mut taken = BTreeMap::new();
    for produced in proxy.seen_where(|seen| produces(seen) && seen.succeeded()) {
        let key = produced.json()["key"].as_str().unwrap_or_default().to_owned();
        *taken.entry(key).or_default() += 1;
    }
    taken
}

async fn deliver_keys(stack: &Stack) -> Result<BTreeSet<String>> {
    let mut keys = BTreeSet::new();
    for number in 0..KEYS {
        let key = format!("dp_{number}");
        deliver(stack, &dispute_about(&key)?).await?;
        keys.insert(key);
    }
    Ok(keys)
}

#[tokio::test]
async fn each_key_has_its_broker_whatever_the_order_of_the_list() -> Story {
    let stack = two_brokers().await?;
    let all = deliver_keys(&stack).await?;
    let [one, other]: [BTreeMap<_, _>; 2] =
        [taken_by(&stack.broker_proxy), taken_by(stack.more_brokers[0].proxy())];
    assert!(!one.is_empty() && !other.is_empty(), "{one:?} {other:?}");
    assert_eq!(one.keys().chain(other.keys()).cloned().collect::<BTreeSet<_>>(), all);

    let [first, second] = urls(&stack);
    stack.deploy(&[("DRIFTQ_HTTP_URL", &format!("{second},{first}/v1/"))]);
    deliver_keys(&stack).await?;
    for (proxy, before) in [(&*stack.broker_proxy, one), (stack.more_brokers[0].proxy(), other)] {
        let twice: BTreeMap<_, _> = before.into_iter().map(|(key, times)| (key, 2 * times)).collect();
        assert_eq!(taken_by(proxy), twice);
    }
    settle(&stack).await?;
    let applied = stack.third_party.ledger().applied_by_key();
    assert_eq!((applied.len(), applied.values().max()), (KEYS, Some(&1)));
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn the_keys_of_a_dead_broker_are_deferred_and_the_others_go_on() -> Story {
    let stack = two_brokers().await?;
    let dead = stack.more_brokers[0].proxy();
    dead.close().await;
    let all = deliver_keys(&stack).await?;
    let taken = taken_by(&stack.broker_proxy);
    let effects = stack.effects().await?;
    let deferred: BTreeSet<_> = effects.iter().map(|effect| effect.business_key.clone()).collect();
    assert!(effects.iter().all(|effect| effect.status == "pending"), "{effects:?}");
    assert!(!taken.is_empty() && !deferred.is_empty(), "{taken:?} {deferred:?}");
    assert_eq!(taken.into_keys().chain(deferred).collect::<BTreeSet<_>>(), all);

    // The deferred effects do not wait until the broker is back.
    settle(&stack).await?;
    let applied = stack.third_party.ledger().applied_by_key();
    assert_eq!((applied.len(), applied.values().max()), (KEYS, Some(&1)));
    dead.open().await?;
    Ok(stack.finish().await?)
}

#[tokio::test]
async fn a_draining_broker_gets_nothing_new() -> Story {
    let stack = two_brokers().await?;
    let [old, new] = urls(&stack);
    stack.deploy(&[("DRIFTQ_HTTP_URL", &new), ("DRIFTQ_DRAIN_URL", &old)]);
    deliver_keys(&stack).await?;
    assert!(stack.broker_proxy.seen_where(produces).is_empty());
    assert_eq!(taken_by(stack.more_brokers[0].proxy()).len(), KEYS);
    settle(&stack).await?;
    assert_eq!(stack.third_party.ledger().applied().len(), KEYS);
    Ok(stack.finish().await?)
}

/// The health report without the durations of the checks.
async fn health(stack: &Stack) -> Result<(u16, Value)> {
    let answer = stack.get("/healthz").await?;
    let mut report = answer.json();
    let text = report.to_string();
    let checks = report["brokers"].as_array_mut().into_iter().flatten();
    let timed = checks.map(|check| check.as_object_mut().unwrap().remove("ms"));
    assert!(timed.into_iter().all(|ms| ms.is_some_and(|ms| ms.is_u64())), "{report}");
    assert!(report["table"]["ms"].is_u64(), "{report}");
    report["table"] = report["table"]["ok"].take();
    assert!(!text.contains("127.0.0.1"), "anybody may ask, and this names an address: {text}");
    Ok((answer.status, report))
}

#[tokio::test]
async fn health_tells_every_broker_and_the_table_apart() -> Story {
    let stack = two_brokers().await?;
    let [old, new] = urls(&stack);
    stack.deploy(&[("DRIFTQ_HTTP_URL", &new), ("DRIFTQ_DRAIN_URL", &old)]);
    let report = |status: &str, accepting: bool, draining: bool, table: bool| {
        json!({ "status": status, "table": table, "brokers": [
            { "variable": "DRIFTQ_HTTP_URL", "entry": 1, "role": "accepting", "ok": accepting },
            { "variable": "DRIFTQ_DRAIN_URL", "entry": 1, "role": "draining", "ok": draining },
        ] })
    };
    assert_eq!(health(&stack).await?, (200, report("ok", true, true, true)));

    let [draining, accepting] = [&stack.broker, &stack.more_brokers[0]].map(BrokerControl::proxy);
    draining.always(|_| true, Fault::HangBefore);
    assert_eq!(health(&stack).await?, (200, report("degraded", true, false, true)));
    draining.heal();
    accepting.close().await;
    assert_eq!(health(&stack).await?, (200, report("degraded", false, true, true)));
    accepting.open().await?;
    stack.table_proxy()?.close().await;
    assert_eq!(health(&stack).await?, (503, report("unavailable", true, true, false)));
    stack.table_proxy()?.open().await?;
    Ok(stack.finish().await?)
}
