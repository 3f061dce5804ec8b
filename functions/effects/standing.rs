//! The state of a run: its effects, the steps that have not begun, and what blocks them.
//!
//! A step that comes after others has no record before one of them is done. Until then it exists only in the plan that their commands
//! carry. So a parked step's command names the steps that it blocks, and nothing has to be written to block or to release them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use super::record::{Receipt, Record, Status};
use crate::{
    command::flow::Flow,
    effect_id::{EffectId, StepId},
};

/// The state of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Something is in progress or due.
    Running,
    /// All its steps are done, skipped or discarded.
    Done,
    /// Nothing is in progress, and an operator has to decide on something.
    Parked,
    /// Nothing is in progress and nothing needs a decision, but some steps come after a step that was discarded.
    Blocked,
}

/// A run, as it is now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Standing {
    /// The run as a whole.
    pub state: RunState,
    /// Its steps, each after its predecessors.
    pub steps: Vec<StepStanding>,
}

/// One step of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepStanding {
    /// The step.
    pub step: String,
    /// Its effect, or a record that is kept beside one.
    pub effect_id: String,
    /// The steps that it comes after.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub after: BTreeSet<StepId>,
    /// The state of its record; `awaiting` or `blocked` if it has not begun.
    pub status: &'static str,
    /// The effects that block it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blocked_by: Vec<String>,
    /// When it was first claimed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub began_at: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// The third party's answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
}

const AWAITING: &str = Status::Awaiting.as_str();
const BLOCKED: &str = "blocked";

impl Standing {
    /// Builds the state from a run's records. `after` gives a step's predecessors by the configuration, where no plan is left.
    #[must_use]
    pub fn of(records: &[Record], after: impl Fn(&str) -> BTreeSet<StepId>) -> Self {
        let plan = plan_of(records);
        let known: BTreeSet<&str> = records.iter().map(|record| record.effect_id.as_str()).collect();
        let stops: BTreeMap<&str, &str> = records
            .iter()
            .filter(|record| matches!(record.status, Status::Parked | Status::Discarded))
            .map(|record| (record.step.as_str(), record.effect_id.as_str()))
            .collect();
        let recorded = records.iter().map(|record| {
            let planned = StepId::try_from(record.step.clone()).ok().and_then(|step| plan.0.get(&step));
            let after = planned.map_or_else(|| after(&record.step), |planned| planned.after.clone());
            StepStanding::of(record, after)
        });
        let run_id = records.first().map_or("", |record| record.run_id.as_str());
        let planned = plan.0.iter().map(|(step, planned)| StepStanding {
            step: step.to_string(),
            effect_id: format!("{run_id}:{step}:{}", planned.business_key),
            after: planned.after.clone(),
            status: AWAITING,
            blocked_by: Vec::new(),
            began_at: None,
            ended_at: None,
            receipt: None,
        });
        let mut steps: Vec<_> =
            recorded.chain(planned.filter(|step| !known.contains(step.effect_id.as_str()))).collect();
        let edges: BTreeMap<String, BTreeSet<StepId>> =
            steps.iter().map(|step| (step.step.clone(), step.after.clone())).collect();
        for step in steps.iter_mut().filter(|step| step.status == AWAITING) {
            let before = before(&step.step, &edges);
            step.blocked_by = stops
                .iter()
                .filter(|(id, _)| before.contains(**id))
                .map(|(_, id)| (*id).to_owned())
                .collect();
            if !step.blocked_by.is_empty() {
                step.status = BLOCKED;
            }
        }
        steps.sort_by_key(|step| (before(&step.step, &edges).len(), step.step.clone()));
        Self { state: RunState::of(&steps), steps }
    }
}

impl RunState {
    fn of(steps: &[StepStanding]) -> Self {
        let any = |wanted: &dyn Fn(&StepStanding) -> bool| steps.iter().any(wanted);
        let is_over = |step: &StepStanding| step.ended_at.is_some();
        let is_parked = |step: &StepStanding| step.status == Status::Parked.as_str();
        let is_blocked = |step: &StepStanding| step.status == BLOCKED;
        if any(&|step| !is_over(step) && !is_parked(step) && !is_blocked(step)) {
            Self::Running
        } else if any(&is_parked) {
            Self::Parked
        } else if any(&is_blocked) {
            Self::Blocked
        } else {
            Self::Done
        }
    }
}

impl StepStanding {
    fn of(record: &Record, after: BTreeSet<StepId>) -> Self {
        Self {
            step: record.step.clone(),
            effect_id: record.effect_id.clone(),
            // A record kept beside an effect is not part of the graph.
            after: if record.effect_id.parse::<EffectId>().is_ok() { after } else { BTreeSet::new() },
            status: record.status.as_str(),
            blocked_by: Vec::new(),
            began_at: record.first_attempt_at,
            ended_at: record.status.is_over().then_some(record.updated_at),
            receipt: record.receipt.clone(),
        }
    }
}

/// The plan, merged from the commands of all records.
fn plan_of(records: &[Record]) -> Flow {
    let commands = records.iter().filter_map(Record::readable_command);
    Flow(commands.flat_map(|command| command.flow.0).collect())
}

/// All predecessors of a step, direct and indirect.
fn before<'a>(step: &str, edges: &'a BTreeMap<String, BTreeSet<StepId>>) -> BTreeSet<&'a str> {
    let of = |step: &str| edges.get(step).into_iter().flatten().map(StepId::as_str);
    let mut found = BTreeSet::new();
    let mut open: Vec<&str> = of(step).collect();
    while let Some(id) = open.pop() {
        if found.insert(id) {
            open.extend(of(id));
        }
    }
    found
}
