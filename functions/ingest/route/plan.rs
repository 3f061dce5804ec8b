//! Plans the later steps of each run that a webhook starts. This is done at ingest, since only ingest has the event.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::Value as Jinja;

use super::{LaterRequest, Routed, UnfitRequest, delay_of, input_of};
use crate::{
    command::{
        Command,
        flow::{Flow, Planned},
    },
    config::{Config, after::After, delay::Delay as OfStep, step::Step},
    effect_id::{EffectId, RunId, StepId},
    ingest::request::{Lacking, Verified},
};

/// Adds to each command its later steps, and the number of effects of its run. A step may have its own run id, so one webhook can start several
/// runs.
///
/// # Errors
/// The event lacks a value that a later step needs.
pub(in crate::ingest) fn add(
    routed: &mut [&mut Routed],
    webhook: &Verified<'_>,
    config: &Config,
    context: &Jinja,
) -> Result<(), Lacking> {
    let runs: BTreeSet<RunId> = routed.iter().map(|each| each.command.run_id.clone()).collect();
    for run in &runs {
        let of_run = routed.iter().filter(|each| each.command.run_id == *run);
        let first: BTreeSet<StepId> = of_run.map(|each| each.command.step.clone()).collect();
        let flow = later(&first, |step| planned(step, run, webhook, config, context), config)?;
        let of = u32::try_from(first.len() + flow.0.len()).unwrap_or(u32::MAX);
        for each in routed.iter_mut().filter(|each| each.command.run_id == *run) {
            let flow = flow.after(&each.command.step);
            each.command = Command { of, ..each.command.clone() }.followed_by(flow);
        }
    }
    Ok(())
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
    webhook: &Verified<'_>,
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

/// The later steps that a client requests.
///
/// # Errors
/// One of them can't follow, or lacks a value.
pub(super) fn requested(
    first: &StepId,
    business_key: &str,
    asked: BTreeMap<String, LaterRequest>,
    config: &Config,
) -> Result<Flow, UnfitRequest> {
    let mut flow = Flow::default();
    for (id, LaterRequest { business_key: own, input }) in &asked {
        let unfit = |why: String| UnfitRequest::Later { step: id.clone(), why };
        let step = config.step(id).ok_or_else(|| unfit("no step has this name".to_owned()))?;
        let after = config.predecessors(id);
        if after.is_empty() {
            return Err(unfit("it comes after no other step; start it by itself".to_owned()));
        }
        let is_named = |before: &StepId| before == first || asked.contains_key(before.as_str());
        if let Some(before) = after.iter().find(|before| !is_named(before)) {
            return Err(unfit(format!("it waits for {before}, which is not asked for")));
        }
        if let Some((name, _)) = step.input.iter().find(|(name, _)| !input.contains_key(name)) {
            return Err(unfit(format!("input.{name} is missing")));
        }
        if let Some(name) = input.keys().find(|name| !step.input.iter().any(|(known, _)| known == *name)) {
            return Err(unfit(format!("the step takes no input.{name}")));
        }
        let delay = match &step.delay {
            Some(OfStep::Fixed(delay)) => Some(*delay),
            Some(OfStep::Template(_)) | None => None,
        };
        let business_key = own.clone().unwrap_or_else(|| business_key.to_owned());
        let planned =
            Planned { business_key, after, input: input.clone(), delay, uses: config.uses(&step.id) };
        flow.0.insert(step.id.clone(), planned);
    }
    Ok(flow)
}
