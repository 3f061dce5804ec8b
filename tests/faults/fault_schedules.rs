//! Random schedules of faults: kills of both functions, of the broker and of connections, lost or late requests and responses, throttling, and a
//! third party that refuses or misreports, while webhooks of all three policies arrive, some of them twice. After the faults end, everything
//! must settle, and the ledger is compared with the table.
//!
//! Half of the schedules have newer brokers; some have two of them, wake-ups or a journal.
//!
//! A schedule is generated from its seed. `FAULT_SEED` repeats one, except for the machine's timing; `FAULT_SCHEDULES` sets the number of schedules.

mod plan;
mod scenario;

use std::{
    collections::BTreeSet,
    env,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt, stream};
use local::{stack::Effect, third_party::idempotency_key};

use self::{
    plan::Plan,
    scenario::{PATHS, Scenario, TABLE},
};
use crate::{publish, setup::counted, table_has_no_proxy};

/// Two of three webhooks create one command, the third creates two.
const WEBHOOKS: usize = 120;
const LASTING: Duration = Duration::from_secs(15);
/// Time limit to settle the rest.
const SETTLED_WITHIN: Duration = Duration::from_secs(90);
const SCHEDULES: u64 = 2;
const SIDE_BY_SIDE: usize = 2;

#[tokio::test(flavor = "multi_thread")]
async fn whatever_goes_wrong_nothing_is_lost_and_nothing_done_twice() -> Result<()> {
    if table_has_no_proxy() {
        return Ok(());
    }
    let schedules = stream::iter(seeds()?).map(|seed| async move {
        let judged = run(seed).await.with_context(|| format!("repeat it with FAULT_SEED={seed}"));
        judged.inspect(publish).inspect_err(|error| publish(&format!("{error:?}")))
    });
    let all: Vec<Result<String>> = schedules.buffer_unordered(SIDE_BY_SIDE).collect().await;
    let failed = all.iter().filter(|judged| judged.is_err()).count();
    ensure!(failed == 0, "{failed} of {} schedules went wrong", all.len());
    Ok(())
}

fn seeds() -> Result<Vec<u64>> {
    if let Ok(seed) = env::var("FAULT_SEED") {
        return Ok(vec![seed.parse().context("FAULT_SEED is no number")?]);
    }
    let count = match env::var("FAULT_SCHEDULES") {
        Ok(count) => count.parse().context("FAULT_SCHEDULES is no number")?,
        Err(_) => SCHEDULES,
    };
    // One after the other, so that both generations of brokers are tested.
    let first = uuid::Uuid::new_v4().as_u64_pair().0;
    Ok((0..count).map(|number| first.wrapping_add(number)).collect())
}

/// Runs the schedule, and returns its figures.
async fn run(seed: u64) -> Result<String> {
    let started = Instant::now();
    let plan = Plan::draw(seed, WEBHOOKS, LASTING, PATHS.len());
    let scenario = Scenario::build(plan.setting).await?;
    if scenario.stack.broker.is_external() {
        println!("the broker of DRIFTQ_HTTP_URL is not ours to kill: it is not restarted");
    }
    let judged = async {
        let effects = scenario.suffer(&plan).await?;
        scenario.stack.run_until_settled(SETTLED_WITHIN).await?;
        judge(&scenario, &effects).await
    };
    let judged = judged.await.with_context(|| format!("its history:\n{}", scenario.history()))?;
    scenario.stack.finish().await?;
    let (deliveries, troubles, s) = (plan.deliveries.len(), plan.troubles.len(), started.elapsed().as_secs());
    let setting = plan.setting;
    Ok(format!(
        "FAULT_SEED={seed}: {setting:?}, {deliveries} deliveries, {troubles} troubles; {judged}; {s} s"
    ))
}

/// Compares the table and the ledger with what ingest has accepted.
async fn judge(scenario: &Scenario, accepted: &[String]) -> Result<String> {
    let mut effects = scenario.stack.effects().await?;
    effects.sort_by(|one, other| one.effect_id.cmp(&other.effect_id));
    let ids: Vec<_> = effects.iter().map(|effect| &effect.effect_id).collect();
    // The successors of an effect parked in doubt have not begun.
    let parked = effects.iter().filter(|effect| effect.is_parked()).map(|effect| &effect.run_id);
    let stopped: BTreeSet<_> = parked.collect();
    let is_stopped = |id: &str| {
        id.split_once(':').is_some_and(|(run, rest)| {
            rest.starts_with("label_issue:") && stopped.iter().any(|stopped| *stopped == run)
        })
    };
    let accepted: Vec<_> =
        accepted.iter().filter(|id| !is_stopped(id) || ids.binary_search(id).is_ok()).collect();
    let lost: Vec<_> = accepted.iter().filter(|id| ids.binary_search(id).is_err()).collect();
    ensure!(lost.is_empty(), "lost: {lost:?}");
    ensure!(ids.iter().eq(&accepted), "besides {accepted:?} there is something else: {ids:?}");
    let ledger = scenario.stack.third_party.ledger();
    let applied = ledger.applied_by_key();
    let mut wrong = Vec::new();
    let counted = counted(&scenario.stack, TABLE).await?;
    for effect in effects.iter().filter(|effect| effect.status != "awaiting") {
        let times = applied.get(&idempotency_key(&effect.effect_id)).copied().unwrap_or_default();
        let count = counted.get(&effect.business_key).map(String::as_str);
        let is_right = match effect.step.as_str() {
            "count_charge" => effect.is_done() && count == Some("1"),
            _ => is_right(effect, times),
        };
        if !is_right {
            wrong.push(format!("applied {times} times: {effect:?}"));
        }
    }
    ensure!(wrong.is_empty(), "{} effects are wrong:\n{}", wrong.len(), wrong.join("\n"));
    let parked = effects.iter().filter(|effect| effect.is_parked()).count();
    let (calls, deduped) = (ledger.attempts().len(), ledger.deduped().len());
    Ok(format!("{} commands, {calls} calls, {deduped} deduped, {parked} parked", effects.len()))
}

/// Done once; or, where a doubt can't be resolved, parked in doubt and called at most once.
fn is_right(effect: &Effect, times: usize) -> bool {
    match effect.step.as_str() {
        "tell_slack" if effect.is_parked() => times <= 1 && effect.last_error().contains("in doubt"),
        _ => effect.is_done() && times == 1,
    }
}
