//! The common setup: the shipped `webhooks.toml`, with times that are short enough for tests.

use std::{collections::BTreeMap, env, path::Path, time::Duration};

use anyhow::{Context, Result};
use local::{
    broker::Profile,
    config::Config,
    functions::Functions,
    http::Answer,
    proxy::Seen,
    stack::{Builder, Effect, Settling, Stack},
    webhook::Webhook,
};
use serde_json::json;
use toml::{Table, Value, toml};

/// Longer than any test needs; reached only by a failed one.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);
/// A provider's deliveries of one webhook.
const DELIVERIES: usize = 10;
pub(crate) const TICKETS: &str = "/api/tickets";
pub(crate) const SLACK: &str = "/api/chat.postMessage";

/// What a story returns. A `?` fails the test at its own line, before the stack is dropped: a dropped stack panics because it was not
/// finished.
pub(crate) type Story = Result<(), Failed>;

/// Never made: see [`Story`].
#[derive(Debug)]
pub(crate) enum Failed {}

impl<E: Into<anyhow::Error>> From<E> for Failed {
    #[track_caller]
    fn from(error: E) -> Self {
        panic!("{:?}", error.into())
    }
}

/// The shipped configuration with short times, and without the steps that come after others or write items: `chains`, `rows` and `shipped` test
/// those.
pub(crate) fn config() -> Result<Config> {
    let mut config = shipped()?;
    let steps = config.table().get_mut("steps").and_then(Value::as_array_mut).expect("steps");
    steps.retain(|step| step.get("after").is_none() && step.get("put").is_none());
    Ok(config)
}

/// All of the shipped configuration, with short times.
pub(crate) fn shipped() -> Result<Config> {
    let mut config = Config::shipped()?;
    let times = toml! {
        stream_lease = "2s"
        settle = "1s"
        slow_call = "900ms"
        journal_grace = "4s"
    };
    config.table().insert("consumer".into(), Value::Table(times));
    for step in config.steps() {
        step.insert("retry".into(), Value::Table(retry(8)));
        if let Some(call) = step.get_mut("call").and_then(Value::as_table_mut) {
            call.insert("timeout".into(), "1s".into());
        }
    }
    Ok(config)
}

/// A budget of this many attempts, with short pauses.
pub(crate) fn retry(max_attempts: i64) -> Table {
    let mut retry = toml! {
        backoff = "100ms"
        max_backoff = "300ms"
    };
    retry.insert("max_attempts".into(), max_attempts.into());
    retry
}

/// Adds steps to a configuration, with short pauses.
pub(crate) fn add_steps(config: &mut Config, steps: &str) {
    let more: Table = steps.parse().expect("steps in TOML");
    let all = config.table().get_mut("steps").and_then(Value::as_array_mut).expect("steps");
    for step in more["steps"].as_array().into_iter().flatten() {
        let mut step = step.clone();
        step.as_table_mut().expect("a step").insert("retry".into(), retry(8).into());
        all.push(step);
    }
}

/// How often each item of a table was added to, by its id: the ledger of a step that counts there.
pub(crate) async fn counted(stack: &Stack, name: &str) -> Result<BTreeMap<String, String>> {
    let items = stack.table()?.call("Scan", &json!({ "TableName": name, "ConsistentRead": true })).await?;
    let text = |item: &serde_json::Value, name: &str, kind: &str| {
        item[name][kind].as_str().unwrap_or_default().to_owned()
    };
    let items = items["Items"].as_array().into_iter().flatten();
    Ok(items.map(|item| (text(item, "id", "S"), text(item, "count", "N"))).collect())
}

/// A table inside a step.
pub(crate) fn table<'a>(step: &'a mut Table, name: &str) -> &'a mut Table {
    step.get_mut(name).and_then(Value::as_table_mut).expect("the shipped step has it")
}

/// Parks effects in doubt, as for a third party that does not deduplicate.
pub(crate) fn park_in_doubt(config: &mut Config, step: &str) {
    config.step(step).insert("in_doubt".into(), Value::Table(toml! { policy = "park" }));
}

/// The functions of `FUNCTIONS_DIR`, otherwise those that were built for this test.
pub(crate) fn functions() -> Result<Functions> {
    match env::var_os("FUNCTIONS_DIR").filter(|dir| !dir.is_empty()) {
        Some(dir) => Functions::in_dir(Path::new(&dir)),
        None => Ok(Functions {
            ingest: env!("CARGO_BIN_EXE_ingest").into(),
            consumer: env!("CARGO_BIN_EXE_consumer").into(),
        }),
    }
}

pub(crate) fn builder(config: Config) -> Result<Builder> {
    let stack = Stack::builder().functions(functions()?).config(config).env("IDLE_EXIT", "400ms");
    Ok(stack.must_settle(true).broker_profile(broker_profile()?))
}

/// The generation of the embedded broker. `BROKER_PROFILE=g3 cargo test --test stories` runs the stories with a newer one, so that CI can run a
/// part of them with it; a story that is for only one generation sets `broker_profile` after [`builder`].
fn broker_profile() -> Result<Profile> {
    match env::var("BROKER_PROFILE").unwrap_or_default().as_str() {
        "" | "g0" => Ok(Profile::G0),
        "g3" => Ok(Profile::G3),
        other => anyhow::bail!("BROKER_PROFILE is {other}, and must be g0 or g3"),
    }
}

pub(crate) async fn stack() -> Result<Stack> {
    builder(config()?)?.start().await
}

pub(crate) async fn stack_with(edit: impl FnOnce(&mut Config)) -> Result<Stack> {
    let mut config = config()?;
    edit(&mut config);
    builder(config)?.start().await
}

/// A Stripe dispute: one step, a ticket.
pub(crate) fn dispute() -> Result<Webhook> {
    Webhook::sample("stripe.charge.dispute.created")
}

/// A dispute with another business key, as another event.
pub(crate) fn dispute_about(id: &str) -> Result<Webhook> {
    let id = id.to_owned();
    Ok(dispute()?.edited(|event| {
        event["id"] = format!("evt_{id}").into();
        event["data"]["object"]["id"] = id.into();
    }))
}

/// A new GitHub issue: two steps, a Slack message and a language model.
pub(crate) fn issue() -> Result<Webhook> {
    Webhook::sample("github.issues.opened")
}

pub(crate) fn consumes(seen: &Seen) -> bool {
    seen.goes_to("GET", "/v1/consume")
}

pub(crate) fn produces(seen: &Seen) -> bool {
    seen.goes_to("POST", "/v1/produce")
}

/// Delivers a webhook that must be accepted, and returns its effects' ids.
pub(crate) async fn deliver(stack: &Stack, webhook: &Webhook) -> Result<Vec<String>> {
    let answer = stack.deliver(webhook).await?;
    accepted(&answer)
}

/// Delivers a webhook until it is accepted, as a provider does, and returns its effects' ids.
pub(crate) async fn deliver_until_taken(stack: &Stack, webhook: &Webhook) -> Result<Vec<String>> {
    for _ in 0..DELIVERIES {
        let answer = stack.deliver(webhook).await?;
        if answer.status < 500 {
            return accepted(&answer);
        }
    }
    anyhow::bail!("delivered {DELIVERIES} times, and never taken")
}

/// The effects in a response that must be 202.
pub(crate) fn accepted(answer: &Answer) -> Result<Vec<String>> {
    anyhow::ensure!(answer.status == 202, "answered {} {}", answer.status, answer.json());
    let json = answer.json();
    let effects = json["effects"].as_array().context("no effects")?;
    effects
        .iter()
        .map(|effect| Ok(effect["effect_id"].as_str().context("no effect_id")?.to_owned()))
        .collect()
}

/// Runs a story on a stack, and finishes the stack. If the story fails, its own error is reported, and not what it left.
pub(crate) async fn tell(stack: Stack, story: impl AsyncFnOnce(&Stack) -> Result<()>) -> Result<()> {
    match story(&stack).await {
        Ok(()) => stack.finish().await,
        Err(error) => {
            stack.abandon();
            Err(error)
        }
    }
}

pub(crate) async fn settle(stack: &Stack) -> Result<Settling> {
    stack.run_until_settled(PATIENCE).await
}

/// The one effect that there must be.
pub(crate) async fn only_effect(stack: &Stack) -> Result<Effect> {
    let mut effects = stack.effects().await?;
    anyhow::ensure!(effects.len() == 1, "{} effects: {effects:?}", effects.len());
    effects.pop().context("an effect")
}
