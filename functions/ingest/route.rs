//! Creates commands from a verified webhook or a client's request.

pub(super) mod plan;

use std::collections::BTreeMap;

use jiff::Timestamp;
use minijinja::Value as Jinja;
use serde::Deserialize;

use super::request::{Lacking, Verified};
use crate::{
    command::{
        Command, Input, InputHash, Payload,
        flow::{Delay, Flow},
    },
    config::{
        Config,
        delay::{self, Delay as OfStep},
        step::Step,
        template::JsonTemplate,
    },
    effect_id::{EffectId, IdError, RunId},
};

/// A command, with its effect's id.
#[derive(Debug)]
pub struct Routed {
    /// The effect.
    pub effect: EffectId,
    /// The command, with its input inline, however large.
    pub command: Command,
    /// The due time, if later than now.
    pub due: Option<Timestamp>,
}

/// Why a step does not want an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unwanted {
    /// No event starts it, only `POST /runs`.
    OnRequest,
    /// It comes after other steps.
    After,
    /// It is for another source's events.
    OtherSource,
    /// It is for another event type.
    OtherType,
    /// Its condition does not hold.
    When,
}

/// Creates one command for each step that the event starts.
///
/// # Errors
/// The event lacks a value that a step needs. Then the other steps are not started either: the provider redelivers, and shows the failure to
/// its user.
pub fn commands(
    webhook: &Verified<'_>,
    config: &Config,
    now: Timestamp,
) -> Result<(RunId, Vec<Routed>), Lacking> {
    let context = webhook.context(&config.templates);
    let run_id = webhook.run_id(&config.templates, &context)?;
    let mut routed = Vec::new();
    for step in &config.steps {
        routed.extend(choose(step, webhook, &run_id, config, &context, now)?);
    }
    plan::add(&mut routed.iter_mut().collect::<Vec<_>>(), webhook, config, &context)?;
    Ok((run_id, routed))
}

/// Evaluates one step for the event.
///
/// # Errors
/// The event lacks a value that the step needs.
pub(super) fn choose(
    step: &Step,
    webhook: &Verified<'_>,
    run_id: &RunId,
    config: &Config,
    context: &Jinja,
    now: Timestamp,
) -> Result<Result<Routed, Unwanted>, Lacking> {
    match wants(step, webhook, config, context)? {
        Ok(()) => command(step, webhook, run_id, config, context, now).map(Ok),
        Err(unwanted) => Ok(Err(unwanted)),
    }
}

fn wants(
    step: &Step,
    webhook: &Verified<'_>,
    config: &Config,
    context: &Jinja,
) -> Result<Result<(), Unwanted>, Lacking> {
    if step.after.is_some() {
        return Ok(Err(Unwanted::After));
    }
    let Some(on) = &step.on else { return Ok(Err(Unwanted::OnRequest)) };
    if on.source != webhook.source().name {
        return Ok(Err(Unwanted::OtherSource));
    }
    if !on.matches(webhook.event_type()) {
        return Ok(Err(Unwanted::OtherType));
    }
    let Some(condition) = &step.when else { return Ok(Ok(())) };
    match config.templates.holds(condition, context) {
        Ok(true) => Ok(Ok(())),
        Ok(false) => Ok(Err(Unwanted::When)),
        Err(error) => Err(webhook.lacking(error)),
    }
}

fn command(
    step: &Step,
    webhook: &Verified<'_>,
    run_id: &RunId,
    config: &Config,
    context: &Jinja,
    now: Timestamp,
) -> Result<Routed, Lacking> {
    let templates = &config.templates;
    let text = |template| templates.text(template, context).map_err(|error| webhook.lacking(error));
    let run_id = match &step.run_id {
        None => run_id.clone(),
        Some(template) => RunId::escape(&text(template)?).map_err(|error| Lacking::id(template, error))?,
    };
    let business_key = text(&step.business_key)?;
    let input = input_of(step, webhook, config, context)?;
    let delay = delay_of(step, webhook, config, context)?;
    routed(step, run_id, business_key, input, delay, now)
        .map_err(|error| Lacking::id(&step.business_key, error))
}

/// A step's input from the event.
fn input_of(step: &Step, webhook: &Verified<'_>, config: &Config, context: &Jinja) -> Result<Input, Lacking> {
    let field = |(name, template): &(String, JsonTemplate)| {
        let value = config.templates.json(template, context).map_err(|error| webhook.lacking(error))?;
        Ok((name.clone(), value))
    };
    step.input.iter().map(field).collect()
}

/// A step's delay.
fn delay_of(
    step: &Step,
    webhook: &Verified<'_>,
    config: &Config,
    context: &Jinja,
) -> Result<Option<Delay>, Lacking> {
    let delay = step.delay.as_ref().map(|delay| delay.of(&config.templates, context));
    delay.transpose().map_err(|error| webhook.lacking(error))
}

fn routed(
    step: &Step,
    run_id: RunId,
    business_key: String,
    input: Input,
    delay: Option<Delay>,
    now: Timestamp,
) -> Result<Routed, IdError> {
    let effect = EffectId::new(run_id.clone(), step.id.clone(), business_key.clone())?;
    let due = delay.map(|delay| delay.due(now));
    let command = Command {
        run_id,
        step: step.id.clone(),
        business_key,
        input_hash: InputHash::of(&input),
        payload: Payload::Input(input),
        attempt: 0,
        of: 1,
        received_at: due.unwrap_or(now),
        source: None,
        traceparent: None,
        flow: Default::default(),
        receipts: Default::default(),
        needs: Vec::new(),
        newer: Default::default(),
    };
    Ok(Routed { effect, command, due })
}

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
    now: Timestamp,
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
    let flow = plan::requested(&step.id, &business_key, flow, config)?;
    let mut routed = routed(step, run_id, business_key, input, delay, now)?;
    for (later, planned) in &flow.0 {
        EffectId::new(routed.command.run_id.clone(), later.clone(), planned.business_key.clone())?;
    }
    routed.command.of = u32::try_from(flow.0.len() + 1).unwrap_or(u32::MAX);
    routed.command = routed.command.followed_by(flow);
    Ok(routed)
}

impl Routed {
    /// Digest of everything that a client has requested.
    pub(super) fn asked(&self) -> InputHash {
        let Command { flow, input_hash, .. } = &self.command;
        if *flow == Flow::default() {
            return input_hash.clone();
        }
        let flow = serde_json::to_value(flow).unwrap_or_default();
        InputHash::of(&[("input".to_owned(), input_hash.as_str().into()), ("flow".to_owned(), flow)].into())
    }
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, KeyInit, Mac};
    use http::{HeaderMap, HeaderValue, Method};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        config::EMBEDDED,
        ingest::{event::Request, query::Query, request::Unverified},
    };

    /// Routes a body signed as GitHub does.
    fn route(config: &Config, event: &str, body: &[u8]) -> Result<Vec<Routed>, Lacking> {
        let source = &config.sources["github"];
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"secret").unwrap();
        mac.update(body);
        let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
        let mut headers = HeaderMap::new();
        headers.insert("x-hub-signature-256", signature.parse().unwrap());
        headers.insert("x-github-event", HeaderValue::from_bytes(event.as_bytes()).unwrap());
        let keys = [source.scheme.key("secret").unwrap()];
        let now = Timestamp::UNIX_EPOCH;
        let request = Request {
            method: Method::POST,
            path: String::new(),
            headers,
            query: Query::AsSent(String::new()),
            source_ip: None,
            caller: None,
            body: body.to_vec(),
        };
        let webhook = Unverified { source, request: &request }.verify(&keys, now).unwrap();
        commands(&webhook, config, now).map(|(_, routed)| routed)
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "(?s).{0,20}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 20, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-z_]{1,8}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    #[test]
    fn each_run_knows_how_many_effects_it_has() {
        let config = Config::parse("webhooks.toml", EMBEDDED).unwrap();
        let issue = json!({
            "action": "opened",
            "repository": { "full_name": "o/r" },
            "issue": { "number": 1, "title": "t", "html_url": "u", "body": null, "user": { "login": "l" } },
        });
        let routed = route(&config, "issues", issue.to_string().as_bytes()).unwrap();
        assert_eq!(routed.iter().map(|each| each.command.of).collect::<Vec<_>>(), [2, 2]);
        assert_eq!(routed[0].effect.business_key(), "o/r#1");
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let config = Config::parse("webhooks.toml", EMBEDDED).unwrap();
            let _ = route(&config, "issues", &body);
        }

        #[test]
        fn no_event_makes_it_panic(issue in any_json(), number in any_json(), name in any_json()) {
            let config = Config::parse("webhooks.toml", EMBEDDED).unwrap();
            let mut issue = json!({ "title": name, "html_url": number, "user": { "login": issue }, "body": issue });
            issue["number"] = number;
            let event = json!({ "action": "opened", "issue": issue, "repository": { "full_name": name } });
            for routed in route(&config, "issues", event.to_string().as_bytes()).unwrap_or_default() {
                prop_assert_eq!(routed.command.effect_id().unwrap(), routed.effect);
            }
        }
    }
}
