//! Creates commands from a verified webhook, and in [`requested`] from a client's request.

mod plan;
pub mod requested;

use jiff::Timestamp;
use minijinja::Value as Jinja;

pub(super) use self::plan::Plans;
use super::request::{Lacking, VerifiedWebhook};
use crate::{
    command::{Command, Input, InputHash, Payload, flow::Delay},
    config::{Config, step::Step, template::JsonTemplate},
    effect_id::{EffectId, RunId},
    trace::Traceparent,
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

/// The request that commands come from.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The name of its source, or `api`.
    pub source: &'a str,
    /// Its trace.
    pub trace: Traceparent,
    /// When it was received.
    pub now: Timestamp,
}

/// An effect that a request starts. Its command also needs the plan of its run, which depends on everything else that is started.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) effect: EffectId,
    input: Input,
    delay: Option<Delay>,
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
    webhook: &VerifiedWebhook<'_>,
    config: &Config,
    origin: Origin<'_>,
) -> Result<(RunId, Vec<Routed>), Lacking> {
    let context = webhook.context(&config.templates);
    let run_id = webhook.run_id(&config.templates, &context)?;
    let mut starts = Vec::new();
    for step in &config.steps {
        starts.extend(choose(step, webhook, &run_id, config, &context)?);
    }
    let plans = Plans::of(&starts, webhook, config, &context)?;
    Ok((run_id, starts.into_iter().map(|start| start.command(&plans, origin)).collect()))
}

/// Evaluates one step for the event.
///
/// # Errors
/// The event lacks a value that the step needs.
pub(super) fn choose(
    step: &Step,
    webhook: &VerifiedWebhook<'_>,
    run_id: &RunId,
    config: &Config,
    context: &Jinja,
) -> Result<Result<Start, Unwanted>, Lacking> {
    match wants(step, webhook, config, context)? {
        Ok(()) => start(step, webhook, run_id, config, context).map(Ok),
        Err(unwanted) => Ok(Err(unwanted)),
    }
}

fn wants(
    step: &Step,
    webhook: &VerifiedWebhook<'_>,
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

fn start(
    step: &Step,
    webhook: &VerifiedWebhook<'_>,
    run_id: &RunId,
    config: &Config,
    context: &Jinja,
) -> Result<Start, Lacking> {
    let templates = &config.templates;
    let text = |template| templates.text(template, context).map_err(|error| webhook.lacking(error));
    let run_id = match &step.run_id {
        None => run_id.clone(),
        Some(template) => RunId::escape(&text(template)?).map_err(|error| Lacking::id(template, error))?,
    };
    let business_key = text(&step.business_key)?;
    let input = input_of(step, webhook, config, context)?;
    let delay = delay_of(step, webhook, config, context)?;
    let effect = EffectId::new(run_id, step.id.clone(), business_key)
        .map_err(|error| Lacking::id(&step.business_key, error))?;
    Ok(Start { effect, input, delay })
}

/// A step's input from the event.
fn input_of(
    step: &Step,
    webhook: &VerifiedWebhook<'_>,
    config: &Config,
    context: &Jinja,
) -> Result<Input, Lacking> {
    let field = |(name, template): &(String, JsonTemplate)| {
        let value = config.templates.json(template, context).map_err(|error| webhook.lacking(error))?;
        Ok((name.clone(), value))
    };
    step.input.iter().map(field).collect()
}

/// A step's delay.
fn delay_of(
    step: &Step,
    webhook: &VerifiedWebhook<'_>,
    config: &Config,
    context: &Jinja,
) -> Result<Option<Delay>, Lacking> {
    let delay = step.delay.as_ref().map(|delay| delay.of(&config.templates, context));
    delay.transpose().map_err(|error| webhook.lacking(error))
}

impl Start {
    /// Its command, with the later steps that its run's plan has for it.
    pub(super) fn command(self, plans: &Plans, origin: Origin<'_>) -> Routed {
        let Self { effect, input, delay } = self;
        let (of, flow) = plans.after(&effect);
        let due = delay.map(|delay| delay.due(origin.now));
        let command = Command {
            run_id: effect.run_id().clone(),
            step: effect.step_id().clone(),
            business_key: effect.business_key().to_owned(),
            input_hash: InputHash::of(&input),
            payload: Payload::Input(input),
            attempt: 0,
            of,
            received_at: due.unwrap_or(origin.now),
            source: Some(origin.source.to_owned()),
            traceparent: Some(origin.trace),
            needs: flow.needs(),
            flow,
            receipts: Default::default(),
            newer: Default::default(),
        };
        Routed { effect, command, due }
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
        ingest::{event::Request, query::Query, request::UnverifiedWebhook},
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
        let webhook = UnverifiedWebhook { source, request: &request }.verify(&keys, now).unwrap();
        let origin = Origin { source: "github", trace: Traceparent::new(), now };
        commands(&webhook, config, origin).map(|(_, routed)| routed)
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
        assert!(routed.iter().all(|each| each.command.source.as_deref() == Some("github")));
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
