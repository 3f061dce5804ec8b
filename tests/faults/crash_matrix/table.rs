//! The matrix as a table: boundaries by policies, with a mark for each moment of death.

use std::{collections::BTreeMap, fmt};

use anyhow::Result;

use super::{
    boundary::{Boundary, Moment},
    story::{Policy, Scenario, Story, Told},
};

const LEGEND: &str = "At each boundary the process is killed before the request is processed, before it is answered, and once it is answered:\n\
    ·  done once, asked no more often than without a crash    d  asked again and deduped by the third party\n\
    l  looked up                                              P  in doubt and parked, called at most once\n\
    -  not reached                                            !  lost, doubled, or never settled\n";

pub(crate) struct Table {
    pub(crate) undisturbed: BTreeMap<Story, Told>,
    pub(crate) told: BTreeMap<Story, Result<Told>>,
}

impl Table {
    /// The failures, with their boundaries.
    pub(crate) fn failed(&self) -> impl Iterator<Item = String> {
        self.told.iter().filter_map(|(story, told)| {
            let error = told.as_ref().err()?;
            Some(format!("{story}: {error:?}"))
        })
    }

    /// At least three of four deaths occurred, even on a machine so busy that runs differ from the first one.
    pub(crate) fn most_died(&self) -> bool {
        let died = self.told.values().flatten().filter(|told| told.died).count();
        died * 4 >= self.told.len() * 3
    }

    /// Every boundary of a scenario under any policy, in order of first appearance.
    fn boundaries(&self, scenario: Scenario) -> Vec<Boundary> {
        let mut all = Vec::new();
        for (_, told) in self.undisturbed.iter().filter(|(story, _)| story.scenario == scenario) {
            for boundary in &told.boundaries {
                if !all.contains(boundary) {
                    all.push(*boundary);
                }
            }
        }
        all
    }

    fn mark(&self, story: Story) -> char {
        let Some(told) = self.told.get(&story) else { return ' ' };
        let without = &self.undisturbed[&Story { death: None, ..story }];
        match told {
            Err(_) => '!',
            Ok(told) if !told.died => '-',
            Ok(told) if told.parked > without.parked => 'P',
            Ok(told) if told.looked_up > without.looked_up => 'l',
            Ok(told) if told.deduped > without.deduped => 'd',
            Ok(_) => '·',
        }
    }

    fn sums(&self, policy: Policy) -> String {
        let told: Vec<_> =
            self.told.iter().filter(|(story, _)| story.policy == policy).map(|(_, told)| told).collect();
        let ok = || told.iter().filter_map(|told| told.as_ref().ok());
        let (killed, wrong) = (ok().filter(|told| told.died).count(), told.len() - ok().count());
        let sum = |count: fn(&Told) -> usize| ok().map(count).sum::<usize>();
        let (deduped, looked_up, parked) =
            (sum(|told| told.deduped), sum(|told| told.looked_up), sum(|told| told.parked));
        format!(
            "{policy:?}: {} runs, {killed} killed, {} not reached, {wrong} wrong; {deduped} calls deduped, {looked_up} look-ups, {parked} parked",
            told.len(),
            told.len() - wrong - killed,
        )
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{LEGEND}")?;
        for scenario in Scenario::ALL {
            write!(f, "\n{:<33}", format!("{scenario:?}"))?;
            Policy::ALL.iter().try_for_each(|policy| write!(f, "{:<10}", format!("{policy:?}")))?;
            for boundary in self.boundaries(scenario) {
                let Boundary { on, what, nth } = boundary;
                write!(f, "\n  {on:<13}{:<18}", format!("{what} {nth}"))?;
                for policy in Policy::ALL {
                    let mark =
                        |moment| self.mark(Story { scenario, policy, death: Some((boundary, moment)) });
                    write!(f, "{:<10}", Moment::ALL.map(mark).iter().collect::<String>())?;
                }
            }
            writeln!(f)?;
        }
        Policy::ALL.iter().try_for_each(|policy| write!(f, "\n{}", self.sums(*policy)))
    }
}
