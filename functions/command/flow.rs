//! The plan of a run's later steps: for each, the steps that it waits for, its business key, and its input from the event.
//!
//! Ingest plans all of them, since only ingest sees the event. The plan travels with the command, under its signature, and
//! the commit of each effect passes the rest of it on. Templates that use receipts are filled in when a step begins.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Command, Input, InputHash, Payload, newer};
use crate::effect_id::{EffectId, IdError, StepId};

/// The later steps of a run, by name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Flow(pub BTreeMap<StepId, Planned>);

/// A later step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    /// The business key.
    pub business_key: String,
    /// The steps that it waits for. It begins when all of them are done.
    pub after: BTreeSet<StepId>,
    /// The input that comes from the event.
    #[serde(default, skip_serializing_if = "Input::is_empty")]
    pub input: Input,
    /// How long it waits before it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Delay>,
    /// The fields of receipts that it uses.
    #[serde(default, skip_serializing_if = "Uses::is_empty")]
    pub uses: Uses,
}

/// How long a step waits before it begins, or until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delay {
    /// Milliseconds after its predecessors are done.
    Millis(u64),
    /// Not before then.
    Until(Timestamp),
}

impl Delay {
    /// When a step is due whose predecessors are done now.
    #[must_use]
    pub fn due(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Millis(millis) => {
                now.saturating_add(Duration::from_millis(millis)).unwrap_or(Timestamp::MAX)
            }
            Self::Until(moment) => moment.max(now),
        }
    }
}

/// Fields of receipts, by step.
pub type Uses = BTreeMap<StepId, BTreeSet<String>>;

/// Fields of the receipts of earlier steps, by step and field. Every done step has an entry, which may be empty.
pub type Receipts = BTreeMap<StepId, Map<String, Value>>;

/// A successor, from the view of one of its predecessors.
#[derive(Debug, Clone, PartialEq)]
pub struct Next {
    /// Its effect.
    pub effect: EffectId,
    /// Its command, with the receipts that this predecessor has.
    pub command: Command,
    /// All its predecessors.
    pub after: BTreeSet<StepId>,
    /// When it is due, if that is later than now.
    pub due: Option<Timestamp>,
    /// Why it is skipped, if it is.
    pub skipped: Option<String>,
}

impl Flow {
    /// Whether nothing comes after.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a consumer must understand to execute a command that these steps follow.
    #[must_use]
    pub fn needs(&self) -> Vec<String> {
        if self.is_empty() { Vec::new() } else { newer::of_chain() }
    }

    /// The part of the plan that comes after a step, directly or not.
    #[must_use]
    pub fn after(&self, step: &StepId) -> Self {
        let mut found = BTreeMap::new();
        let mut reached = BTreeSet::from([step]);
        loop {
            let before = found.len();
            for (id, planned) in &self.0 {
                if planned.after.iter().any(|step| reached.contains(step)) && reached.insert(id) {
                    found.insert(id.clone(), planned.clone());
                }
            }
            if found.len() == before {
                return Self(found);
            }
        }
    }

    /// Takes the inputs out, to be stored elsewhere.
    #[must_use]
    pub fn without_inputs(mut self) -> (Self, BTreeMap<StepId, Input>) {
        let taken = |(id, planned): (&StepId, &mut Planned)| (id.clone(), std::mem::take(&mut planned.input));
        let inputs = self.0.iter_mut().map(taken).collect();
        (self, inputs)
    }

    /// Puts the inputs back.
    #[must_use]
    pub fn with_inputs(mut self, mut inputs: BTreeMap<StepId, Input>) -> Self {
        for (id, planned) in &mut self.0 {
            planned.input = inputs.remove(id).unwrap_or_default();
        }
        self
    }

    /// The fields of a step's receipt that later steps use.
    #[must_use]
    pub fn uses(&self, step: &StepId) -> BTreeSet<&str> {
        let used = self.0.values().filter_map(|planned| planned.uses.get(step));
        used.flatten().map(String::as_str).collect()
    }

    /// The direct successors of an effect that is done. Only receipt fields that later steps use are kept.
    ///
    /// # Errors
    /// Its names make no legal effect id; ingest has checked them before.
    pub fn next(
        &self,
        command: &Command,
        receipt: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<Vec<Next>, IdError> {
        let kept = self.uses(&command.step).into_iter();
        let kept = kept.filter_map(|field| Some((field.to_owned(), receipt.get(field)?.clone()))).collect();
        let mut receipts = command.receipts.clone();
        receipts.insert(command.step.clone(), kept);
        let directly = self.0.iter().filter(|(_, planned)| planned.after.contains(&command.step));
        directly.map(|(id, planned)| self.one(command, (id, planned), &receipts, None, now)).collect()
    }

    /// Everything that comes after a skipped effect, directly or not: it is skipped as well.
    ///
    /// # Errors
    /// As [`Flow::next`].
    pub fn skipped(&self, command: &Command, now: Timestamp) -> Result<Vec<Next>, IdError> {
        let why = format!("it comes after {}, which is skipped", command.step);
        let all = self.after(&command.step);
        let one = |(id, planned)| self.one(command, (id, planned), &Receipts::new(), Some(why.clone()), now);
        all.0.iter().map(one).collect()
    }

    fn one(
        &self,
        before: &Command,
        (id, planned): (&StepId, &Planned),
        receipts: &Receipts,
        skipped: Option<String>,
        now: Timestamp,
    ) -> Result<Next, IdError> {
        let due = planned.delay.map(|delay| delay.due(now));
        let command = Command {
            run_id: before.run_id.clone(),
            step: id.clone(),
            business_key: planned.business_key.clone(),
            input_hash: InputHash::of(&planned.input),
            payload: Payload::Input(planned.input.clone()),
            attempt: 0,
            of: before.of,
            received_at: due.unwrap_or(now),
            source: before.source.clone(),
            traceparent: before.traceparent,
            flow: self.after(id),
            receipts: receipts.clone(),
            needs: newer::of_chain(),
            newer: BTreeMap::new(),
        };
        Ok(Next { effect: command.effect_id()?, command, after: planned.after.clone(), due, skipped })
    }
}

impl Next {
    /// Whether all its predecessors are done, by the receipts in a command.
    #[must_use]
    pub fn is_ready(&self, command: &Command) -> bool {
        self.after.iter().all(|step| command.receipts.contains_key(step))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::command::tests::OLDER;

    fn step(id: &str) -> StepId {
        StepId::try_from(id.to_owned()).unwrap()
    }

    fn planned(after: &[&str]) -> Planned {
        let input = Input::from([("amount".to_owned(), json!(5))]);
        Planned {
            business_key: "k".into(),
            after: after.iter().map(|id| step(id)).collect(),
            input,
            delay: None,
            uses: uses(),
        }
    }

    fn uses() -> Uses {
        Uses::from([(step("s"), BTreeSet::from(["id".to_owned()]))])
    }

    /// `s` ▶ `b` ▶ `d` and `s` ▶ `c` ▶ `d`; and `e` is after `other`.
    fn diamond() -> Flow {
        let steps = [("b", &["s"][..]), ("c", &["s"]), ("d", &["b", "c"]), ("e", &["other"])];
        Flow(steps.into_iter().map(|(id, after)| (step(id), planned(after))).collect())
    }

    fn command() -> Command {
        serde_json::from_str(OLDER).unwrap()
    }

    #[test]
    fn what_comes_next_carries_the_receipts_so_far_and_the_rest_of_the_flow() {
        let receipt = json!({ "id": "tp_1", "other": 1 }).as_object().cloned().unwrap();
        let kept = json!({ "id": "tp_1" }).as_object().cloned().unwrap();
        let next = diamond().next(&command(), &receipt, Timestamp::UNIX_EPOCH).unwrap();
        let ids: Vec<_> = next.iter().map(|next| next.effect.to_string()).collect();
        assert_eq!(ids, ["stripe.evt_1:b:k", "stripe.evt_1:c:k"]);
        assert_eq!(next[0].command.receipts, Receipts::from([(step("s"), kept)]));
        assert_eq!(next[0].command.flow.0.keys().collect::<Vec<_>>(), [&step("d")]);
        assert!(next[0].is_ready(&next[0].command));
        let last = next[0].command.flow.next(&next[0].command, &receipt, Timestamp::UNIX_EPOCH).unwrap();
        assert!(!last[0].is_ready(&last[0].command), "c is not done");
        assert!(last[0].command.flow.is_empty());
    }

    #[test]
    fn all_that_comes_after_a_skipped_step_is_skipped() {
        let skipped = diamond().skipped(&command(), Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(
            skipped.iter().map(|next| next.command.step.as_str()).collect::<Vec<_>>(),
            ["b", "c", "d"]
        );
        assert!(skipped.iter().all(|next| next.skipped.is_some()));
    }

    #[test]
    fn inputs_can_be_kept_elsewhere() {
        let (structure, inputs) = diamond().without_inputs();
        assert!(structure.0.values().all(|planned| planned.input.is_empty()));
        assert_eq!(structure.with_inputs(inputs), diamond());
    }
}
