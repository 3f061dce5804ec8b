//! `POST /runs`: the command that a client requests.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Origin, Plans, Routed, Start};
use crate::{
    command::{
        Command, Input, InputHash,
        flow::{Flow, Planned},
    },
    config::{
        Config,
        delay::{self, Delay as OfStep},
    },
    effect_id::{EffectId, IdError, RunId, StepId},
};

/// The body of `POST /runs`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRequest {
    /// A step of `webhooks.toml`.
    pub step: String,
    /// The business key.
    pub business_key: String,
    /// The fields that the step's `input` table names: all of them and no others.
    #[serde(default)]
    pub input: Input,
    /// When it begins: a duration such as `1h`, or a timestamp. Default: the step's own delay, if that is fixed.
    #[serde(default)]
    pub delay: Option<String>,
    /// The later steps that must follow, each with its input.
    #[serde(default)]
    pub flow: BTreeMap<String, LaterRequest>,
}

/// A later step in the body of `POST /runs`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaterRequest {
    /// The business key; the first step's by default.
    #[serde(default)]
    pub business_key: Option<String>,
    /// The fields of its `input` that use no receipt: all of them and no others.
    #[serde(default)]
    pub input: Input,
}

/// The error in a [`RunRequest`].
#[derive(Debug, thiserror::Error)]
pub enum UnfitRequest {
    /// There is no such step.
    #[error("step: no step is named {0:?}")]
    UnknownStep(String),
    /// The step begins after its predecessors.
    #[error("step: {0} comes after other steps; start those")]
    After(String),
    /// The step needs this field.
    #[error("input.{0}: missing; the step needs it")]
    MissingInput(String),
    /// A later step can't follow.
    #[error("flow.{step}: {why}")]
    Later {
        /// The step.
        step: String,
        /// The reason.
        why: String,
    },
    /// The delay is malformed.
    #[error("delay: {0}")]
    Delay(String),
    /// The step has no such input.
    #[error("input.{0}: the step has no such input")]
    UnknownInput(String),
    /// The business key is invalid.
    #[error("business_key: {0}")]
    Id(#[from] IdError),
}

/// Creates the command that a client requests.
///
/// # Errors
/// The error in the request, with its field.
pub fn requested(
    request: RunRequest,
    run_id: RunId,
    config: &Config,
    origin: Origin<'_>,
) -> Result<Routed, UnfitRequest> {
    let RunRequest { step, business_key, input, delay, flow } = request;
    let Some(step) = config.step(&step) else { return Err(UnfitRequest::UnknownStep(step)) };
    if step.after.is_some() {
        return Err(UnfitRequest::After(step.id.to_string()));
    }
    if let Some((name, _)) = step.input.iter().find(|(name, _)| !input.contains_key(name)) {
        return Err(UnfitRequest::MissingInput(name.clone()));
    }
    if let Some(name) = input.keys().find(|name| !step.input.iter().any(|(known, _)| known == *name)) {
        return Err(UnfitRequest::UnknownInput(name.clone()));
    }
    let delay = match (delay, &step.delay) {
        (Some(text), _) => Some(delay::parse(&text).map_err(UnfitRequest::Delay)?),
        (None, Some(OfStep::Fixed(delay))) => Some(*delay),
        (None, Some(OfStep::Template(_)) | None) => None,
    };
    let flow = later(&step.id, &business_key, flow, config)?;
    let effect = EffectId::new(run_id, step.id.clone(), business_key)?;
    for (later, planned) in &flow.0 {
        EffectId::new(effect.run_id().clone(), later.clone(), planned.business_key.clone())?;
    }
    let plans = Plans::requested(&effect, flow);
    Ok(Start { effect, input, delay }.command(&plans, origin))
}

/// The later steps that a client requests.
///
/// # Errors
/// One of them can't follow, or lacks a value.
fn later(
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

impl Routed {
    /// Digest of everything that a client has requested.
    pub(in crate::ingest) fn asked(&self) -> InputHash {
        let Command { flow, input_hash, .. } = &self.command;
        if *flow == Flow::default() {
            return input_hash.clone();
        }
        let flow = serde_json::to_value(flow).unwrap_or_default();
        InputHash::of(&[("input".to_owned(), input_hash.as_str().into()), ("flow".to_owned(), flow)].into())
    }
}
