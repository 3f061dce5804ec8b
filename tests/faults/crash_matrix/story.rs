//! One run of a scenario, and what must hold afterwards: nothing lost, nothing applied twice, no doubt hidden.

use std::{fmt, time::Duration};

use anyhow::{Context, Result, ensure};
use local::{
    stack::Effect,
    third_party::{Call, idempotency_key},
};

use super::{
    boundary::{Boundary, Moment},
    config::COUNTS,
    scene::{LOOK_UP, Scene},
};

/// A time limit far longer than it takes, even with many other runs on the same machine.
const SETTLED_WITHIN: Duration = Duration::from_secs(90);

/// The scenario; see [`super::plot`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scenario {
    Ingest,
    Journal,
    Consumer,
    Recovery,
    Newer,
    Chain,
}

impl Scenario {
    pub(crate) const ALL: [Self; 6] =
        [Self::Ingest, Self::Journal, Self::Consumer, Self::Recovery, Self::Newer, Self::Chain];

    /// Ingest does not depend on the policy: it is run with the strictest one, with a third party that does not deduplicate.
    fn policies(self) -> &'static [Policy] {
        match self {
            Self::Ingest | Self::Journal => &[Policy::Park],
            Self::Consumer | Self::Recovery | Self::Newer | Self::Chain => &Policy::ALL,
        }
    }
}

/// The policy for effects in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Policy {
    SameKey,
    LookUp,
    Park,
}

impl Policy {
    pub(crate) const ALL: [Self; 3] = [Self::SameKey, Self::LookUp, Self::Park];
}

/// One run: a scenario, a policy, and a death.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Story {
    pub(crate) scenario: Scenario,
    pub(crate) policy: Policy,
    pub(crate) death: Option<(Boundary, Moment)>,
}

/// The result of a run.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) boundaries: Vec<Boundary>,
    /// Whether the boundary was reached, and the process killed there.
    pub(crate) died: bool,
    /// Calls that the third party deduplicated by their key.
    pub(crate) deduped: usize,
    pub(crate) looked_up: usize,
    pub(crate) parked: usize,
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {:?}", self.scenario, self.policy)?;
        self.death.map_or(Ok(()), |(boundary, moment)| write!(f, ", {moment:?} {boundary}"))
    }
}

impl Story {
    /// Every scenario with each of its policies, without a death.
    pub(crate) fn undisturbed() -> impl Iterator<Item = Self> {
        let under_each = |scenario: Scenario| {
            scenario.policies().iter().map(move |policy| Self { scenario, policy: *policy, death: None })
        };
        Scenario::ALL.into_iter().flat_map(under_each)
    }

    /// The same with a death at each moment of each boundary that was found.
    pub(crate) fn with_deaths(self, told: &Told) -> impl Iterator<Item = Self> {
        let boundaries = told.boundaries.iter();
        let deaths = boundaries.flat_map(|boundary| Moment::ALL.map(|moment| (*boundary, moment)));
        deaths.map(move |death| Self { death: Some(death), ..self })
    }

    /// Whether it belongs to the part of that name. A run without a death belongs to the part of each of its deaths, since it finds the boundaries.
    pub(crate) fn is_in(self, part: &str) -> bool {
        let name = self.to_string();
        name.starts_with(part) || self.death.is_none() && part.starts_with(&name)
    }

    /// Runs it, and checks that nothing was lost and nothing applied twice.
    pub(crate) async fn tell(self) -> Result<Told> {
        let scene = Scene::set(self).await?;
        let told = async {
            let (effects, died) = scene.play().await?;
            scene.stack.run_until_settled(SETTLED_WITHIN).await?;
            self.judge(&scene, &effects, died).await
        };
        told.await.with_context(|| scene.stack.report(&[]))
    }

    async fn judge(self, scene: &Scene, effects: &[String], died: bool) -> Result<Told> {
        let ledger = scene.third_party.ledger();
        let applied = ledger.applied_by_key();
        let records = scene.stack.effects().await?;
        let mut ids: Vec<_> = records.iter().map(|record| record.effect_id.clone()).collect();
        ids.sort();
        // The successors of an effect parked in doubt have not begun.
        let is_stopped = self.scenario == Scenario::Chain && records.iter().any(Effect::is_parked);
        let expected = effects.iter().filter(|id| !is_stopped || ids.contains(id));
        ensure!(expected.eq(&ids), "lost: of {effects:?} there are {ids:?}");
        let counted = scene.counted().await?;
        for record in records.iter().filter(|record| record.status != "awaiting") {
            if record.step == COUNTS {
                let count = counted.get(&record.business_key).map(String::as_str);
                ensure!(record.is_done() && count == Some("1"), "counted {count:?} times: {record:?}");
                continue;
            }
            let times = applied.get(&idempotency_key(&record.effect_id)).copied().unwrap_or_default();
            self.check(record, times).with_context(|| {
                format!("{record:?}, {:#?}", ledger.attempts().iter().map(brief).collect::<Vec<_>>())
            })?;
        }
        ensure!(ledger.applied().len() == applied.len(), "a call without a key of its own");
        Ok(Told {
            boundaries: scene.boundaries(),
            died,
            deduped: ledger.deduped().len(),
            looked_up: ledger.attempts_on(LOOK_UP).len(),
            parked: records.iter().filter(|record| record.is_parked()).count(),
        })
    }

    /// Done and applied once; or, where a doubt can't be resolved, applied at most once and parked in doubt.
    fn check(self, record: &Effect, times: usize) -> Result<()> {
        ensure!(times <= 1, "applied {times} times");
        if record.is_done() {
            ensure!(times == 1, "done, and never applied");
            return Ok(());
        }
        ensure!(self.policy == Policy::Park, "not done");
        let is_listed = record.is_parked() && record.record["lane"] == "parked";
        ensure!(is_listed && record.last_error().contains("in doubt"), "neither done nor listed as a doubt");
        Ok(())
    }
}

fn brief(call: &Call) -> String {
    format!("{} {} {} {:?} {:?}", call.at, call.method, call.path, call.key, call.fate)
}
