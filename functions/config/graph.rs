//! The graph that the steps' `after` form. It is checked at start, so that no run waits for a step that can't begin.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Sources,
    after::{After, is_within},
    problems::Problems,
    source::INGEST_SCOPE,
    step::Step,
    template::{Template, Templates},
};
use crate::{command::flow::Uses, effect_id::StepId};

/// How many predecessors' receipts a step may use: each may have 16 KB, and the step's record holds all of them.
const MOST_RECEIPTS: usize = 8;

/// Which receipt fields each step uses.
pub(super) type UsesOf = BTreeMap<StepId, Uses>;

struct Graph<'a> {
    steps: BTreeMap<&'a StepId, &'a Step>,
    templates: &'a Templates,
}

/// Reports errors in the graph, and finds which receipts each step uses.
pub(super) fn check(
    steps: &[Option<Step>],
    sources: &Sources,
    templates: &Templates,
    problems: &mut Problems,
) -> UsesOf {
    let all = steps.iter().flatten().map(|step| (&step.id, step)).collect();
    let graph = Graph { steps: all, templates };
    let mut uses = UsesOf::new();
    for step in graph.steps.values() {
        let Some(after) = &step.after else { continue };
        graph.check_names(step, after, problems);
        let before = graph.before(step);
        if before.contains(&step.id) {
            let circle: Vec<_> = before.iter().map(|step| step.as_str()).collect();
            let why = format!(
                "these steps wait for each other in a circle: {}; none of them could ever begin",
                circle.join(", ")
            );
            problems.add(field(step, "after"), why);
            continue;
        }
        graph.check_beginning(step, &before, sources, problems);
        uses.insert(step.id.clone(), graph.check_templates(step, after, &before, problems));
    }
    uses
}

fn field(step: &Step, name: &str) -> String {
    format!("steps.{}.{name}", step.id)
}

impl<'a> Graph<'a> {
    fn check_names(&self, step: &Step, after: &After, problems: &mut Problems) {
        for unknown in after.steps.iter().filter(|id| !self.steps.contains_key(id)) {
            let known: Vec<_> = self.steps.keys().map(|id| id.as_str()).collect();
            let why = format!("no step is named {:?}; known are {}", unknown.as_str(), known.join(", "));
            problems.add(field(step, "after"), why);
        }
        if step.on.is_some() {
            let why = "a step starts either with an event or after another step; remove on, or after";
            problems.add(field(step, "on"), why);
        }
        if let Some(run_id) = &step.run_id {
            problems.add(run_id.field(), "it belongs to the run of the steps before it; remove run_id");
        }
    }

    /// All steps before this one, direct and indirect; in a cycle, this one as well.
    fn before(&self, step: &Step) -> BTreeSet<&'a StepId> {
        let mut found = BTreeSet::new();
        let mut open: Vec<&StepId> = step.after.iter().flat_map(|after| &after.steps).collect();
        while let Some(id) = open.pop() {
            let Some((id, before)) = self.steps.get_key_value(id) else { continue };
            if found.insert(*id) {
                open.extend(before.after.iter().flat_map(|after| &after.steps));
            }
        }
        found
    }

    /// Every event that starts a run with this step must also start all its predecessors, in the same run.
    fn check_beginning(
        &self,
        step: &Step,
        before: &BTreeSet<&StepId>,
        sources: &Sources,
        problems: &mut Problems,
    ) {
        let first = before.iter().filter_map(|id| self.steps.get(id)).filter(|step| step.after.is_none());
        let first: Vec<_> = first.collect();
        let run_id = |step: &'a Step| step.run_id.as_ref().map(Template::source);
        for pair in first.windows(2) {
            let (one, other) = (&pair[0].id, &pair[1].id);
            if pair[0].on != pair[1].on || pair[0].on.is_none() {
                let why = format!(
                    "{one} and {other} must start with the same events; otherwise this step would wait for ever; write the same on for both"
                );
                problems.add(field(step, "after"), why);
            } else if run_id(pair[0]) != run_id(pair[1]) {
                let why = format!("{one} and {other} must be of one run; write the same run_id for both");
                problems.add(field(step, "after"), why);
            }
        }
        let on = first.first().and_then(|step| step.on.as_ref());
        if let Some(source) = on.and_then(|on| sources.get(&on.source)?.as_ref()) {
            source.check_identity(Some(&step.business_key), step.unsigned, self.templates, problems);
        }
    }

    fn check_templates(
        &self,
        step: &Step,
        after: &After,
        before: &BTreeSet<&StepId>,
        problems: &mut Problems,
    ) -> Uses {
        let mut uses = Uses::new();
        let when = after.when.iter().map(|when| (when.field().to_owned(), self.templates.names(when)));
        let input = after.input.iter().map(|(name, template)| {
            (field(step, &format!("input.{name}")), self.templates.names_of(template))
        });
        for (place, names) in when.chain(input) {
            for name in &names {
                if let Err(why) = self.check_name(name, step, before, &mut uses) {
                    problems.add(&*place, why);
                }
            }
        }
        if uses.len() > MOST_RECEIPTS {
            let why =
                format!("it uses the receipts of {} steps, and at most {MOST_RECEIPTS} fit", uses.len());
            problems.add(field(step, "input"), why);
        }
        uses
    }

    fn check_name(
        &self,
        name: &str,
        step: &Step,
        before: &BTreeSet<&StepId>,
        uses: &mut Uses,
    ) -> Result<(), String> {
        if let Some(early) = INGEST_SCOPE.iter().find(|early| is_within(name, early)) {
            return Err(format!(
                "{early} is no longer available when the step begins; add its value to input as a field, and use input.NAME here"
            ));
        }
        if let Some(input) = name.strip_prefix("input.") {
            let input = input.split('.').next().unwrap_or_default();
            let known: Vec<_> = step.input.iter().map(|(name, _)| name.as_str()).collect();
            return match known.contains(&input) {
                true => Ok(()),
                false => Err(format!(
                    "input.{input} is not filled in from the event; known here are {}",
                    known.join(", ")
                )),
            };
        }
        let mut parts = name.split('.').skip(1);
        let (Some(id), Some(receipt)) = (parts.next(), parts.next()) else {
            return Err(format!("{name} is not a field of a receipt; write receipts.STEP.FIELD"));
        };
        let Some(id) = before.iter().find(|before| before.as_str() == id) else {
            return Err(format!(
                "{id} is not before this step; name it in after, or take another step's receipt"
            ));
        };
        let kept: Vec<_> = self.steps.get(*id).iter().flat_map(|step| step.receipt_fields()).collect();
        if !kept.contains(&receipt) {
            let kept = if kept.is_empty() { "nothing".to_owned() } else { kept.join(", ") };
            return Err(format!("the receipt of {id} has no field {receipt}; it has {kept}"));
        }
        uses.entry((*id).clone()).or_default().insert(receipt.to_owned());
        Ok(())
    }
}

#[cfg(test)]
mod tests;
