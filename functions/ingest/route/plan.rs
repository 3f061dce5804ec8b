//! Plans the later steps of each run that a webhook starts. This is done at ingest, since only ingest has the event.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::Value as Jinja;

use super::{Start, delay_of, input_of};
use crate::{
    command::flow::{Flow, Planned},
    config::{Config, after::After, step::Step},
    effect_id::{EffectId, RunId, StepId},
    ingest::request::{Lacking, VerifiedWebhook},
};

/// The plan of each run that a request starts. A step may have its own run id, so one webhook can start several runs.
#[derive(Debug, Default)]
pub(in crate::ingest) struct Plans(BTreeMap<RunId, Plan>);

#[derive(Debug)]
struct Plan {
    /// The number of effects of the run.
    of: u32,
    /// The later steps.
    flow: Flow,
}

impl Plan {
    fn new(first: usize, flow: Flow) -> Self {
        Self { of: u32::try_from(first + flow.0.len()).unwrap_or(u32::MAX), flow }
    }
}

impl Plans {
    /// Plans what comes after these.
    ///
    /// # Errors
    /// The event lacks a value that a later step needs.
    pub(in crate::ingest) fn of<'s>(
        starts: impl IntoIterator<Item = &'s Start>,
        webhook: &VerifiedWebhook<'_>,
        config: &Config,
        context: &Jinja,
    ) -> Result<Self, Lacking> {
        let mut runs = BTreeMap::<RunId, BTreeSet<StepId>>::new();
        for Start { effect, .. } in starts {
            runs.entry(effect.run_id().clone()).or_default().insert(effect.step_id().clone());
        }
        let plan = |(run, first): (RunId, BTreeSet<StepId>)| {
            let flow = later(&first, |step| planned(step, &run, webhook, config, context), config)?;
            Ok((run, Plan::new(first.len(), flow)))
        };
        runs.into_iter().map(plan).collect::<Result<_, _>>().map(Self)
    }

    /// The plan of one run, which begins with one effect.
    pub(super) fn requested(effect: &EffectId, flow: Flow) -> Self {
        Self([(effect.run_id().clone(), Plan::new(1, flow))].into())
    }

    /// The number of effects of an effect's run, and the steps that come after it.
    pub(super) fn after(&self, effect: &EffectId) -> (u32, Flow) {
        let plan = self.0.get(effect.run_id());
        plan.map_or((1, Flow::default()), |plan| (plan.of, plan.flow.after(effect.step_id())))
    }
}

/// All steps that can begin once these are done. A step that does not want the event is left out, with everything that comes after it.
fn later<E>(
    first: &BTreeSet<StepId>,
    plan: impl Fn(&Step) -> Result<Option<Planned>, E>,
    config: &Config,
) -> Result<Flow, E> {
    let (mut flow, mut unwanted) = (Flow::default(), BTreeSet::new());
    loop {
        let known = flow.0.len() + unwanted.len();
        for step in &config.steps {
            let Some(after) = &step.after else { continue };
            let is_known = flow.0.contains_key(&step.id) || unwanted.contains(&step.id);
            if is_known || !after.steps.iter().all(|id| first.contains(id) || flow.0.contains_key(id)) {
                continue;
            }
            match plan(step)? {
                Some(planned) => drop(flow.0.insert(step.id.clone(), planned)),
                None => drop(unwanted.insert(step.id.clone())),
            }
        }
        if flow.0.len() + unwanted.len() == known {
            return Ok(flow);
        }
    }
}

/// A later step, unless its condition on the event is false.
fn planned(
    step: &Step,
    run: &RunId,
    webhook: &VerifiedWebhook<'_>,
    config: &Config,
    context: &Jinja,
) -> Result<Option<Planned>, Lacking> {
    let templates = &config.templates;
    if let Some(when) = &step.when
        && !templates.holds(when, context).map_err(|error| webhook.lacking(error))?
    {
        return Ok(None);
    }
    let business_key = templates.text(&step.business_key, context).map_err(|error| webhook.lacking(error))?;
    EffectId::new(run.clone(), step.id.clone(), business_key.clone())
        .map_err(|error| Lacking::id(&step.business_key, error))?;
    let after = step.after.iter().flat_map(|After { steps, .. }| steps.iter().cloned()).collect();
    let input = input_of(step, webhook, config, context)?;
    let delay = delay_of(step, webhook, config, context)?;
    Ok(Some(Planned { business_key, after, input, delay, uses: config.uses(&step.id) }))
}
