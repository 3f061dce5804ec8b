//! Finding what happened to a webhook, and deciding about parked effects: `list`, `show`, `tail`, `parked` and
//! `decide`.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use local::{
    hook::Hook,
    proxy::{Fault, Seen},
    stack::{Effect, Stack},
    third_party::Behaviour,
    webhook::Webhook,
};
use serde_json::Value;
use tokio::sync::Mutex;

use super::{Ended, builder, run};

const TICKETS: &str = "/api/tickets";
const EVENT: &str = "evt_3SkPqr2eZvKYlo2C0hYt5XwQ";

/// A stack in which one dispute's ticket was refused for good, and its effect.
pub(super) async fn refused() -> (Stack, Effect) {
    let stack = builder().await.start().await.unwrap();
    stack.third_party.script(TICKETS, [Behaviour::refuse(422)]);
    let dispute = Webhook::sample("stripe.charge.dispute.created").unwrap();
    assert_eq!(stack.deliver(&dispute).await.unwrap().status, 202);
    stack.run_until_settled(Duration::from_secs(40)).await.unwrap();
    let effect = stack.effects().await.unwrap().remove(0);
    assert!(effect.is_parked(), "{effect:?}");
    (stack, effect)
}

/// Parks `more` effects like the first one.
pub(super) async fn park_more(stack: &Stack, first: &Effect, more: usize) {
    let like_it = |number: usize| -> Value {
        let record = first.record.to_string().replace("du_", &format!("du_{number}_"));
        serde_json::from_str(&record.replace("evt_", &format!("evt_{number}_"))).unwrap()
    };
    stack.table().unwrap().put_all(&(0..more).map(like_it).collect::<Vec<_>>()).await.unwrap();
}

/// A command that can reach the stack's table.
pub(super) fn command(stack: &Stack, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_webhooks"));
    command.current_dir(local::functions::workspace()).args(args).stdin(Stdio::null());
    command.env("EFFECTS_TABLE", stack.table().unwrap().table());
    command.env("AWS_ENDPOINT_URL_DYNAMODB", stack.table_proxy().unwrap().url());
    command.envs([
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
    ]);
    command
}

/// Runs a command while the stack continues.
pub(super) async fn typed(stack: &Stack, args: &[&str]) -> Ended {
    let mut command = command(stack, args);
    tokio::task::spawn_blocking(move || run(&mut command)).await.unwrap()
}

/// Runs a command, and kills it once the table has carried out a request that `matches`.
pub(super) async fn kill_at(
    stack: &Stack,
    args: &[&str],
    matches: impl Fn(&Seen) -> bool + Send + Sync + 'static,
) {
    let child = Arc::new(Mutex::new(None::<Child>));
    let kill = {
        let child = child.clone();
        Hook::new(move || {
            let child = child.clone();
            async move {
                if let Some(child) = child.lock().await.as_mut() {
                    child.kill().unwrap();
                }
            }
        })
    };
    let killed = stack.table_proxy().unwrap().once(matches, Fault::HookAfter(kill));
    {
        let mut child = child.lock().await;
        let mut command = command(stack, args);
        *child = Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    }
    killed.within(Duration::from_secs(30)).await.unwrap();
    let ended = loop {
        if let Some(ended) = child.lock().await.as_mut().unwrap().try_wait().unwrap() {
            break ended;
        }
        tokio::task::yield_now().await;
    };
    assert!(!ended.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_to_a_webhook_is_found_by_any_of_its_ids() {
    let (stack, effect) = refused().await;
    let listed = typed(&stack, &["list"]).await;
    listed.says(&["parked", "stripe", "open_ticket", "du_1SkPrT2eZvKYlo2CqWn8sLd4", EVENT, "422"]);
    for args in [["--state", "parked"], ["--source", "stripe"], ["--key", "CqWn8sLd4"], ["--event", EVENT]] {
        let listed = typed(&stack, &["list", args[0], args[1], "--json"]).await;
        assert_eq!(listed.json()["effect_id"], *effect.effect_id, "{args:?}");
    }
    for args in [["--state", "done"], ["--step", "tell_slack"], ["--until", "2h"]] {
        let listed = typed(&stack, &["list", args[0], args[1]]).await;
        assert!(listed.out.is_empty() && listed.err.contains("None of the"), "{args:?}: {}", listed.out);
    }
    for id in [EVENT, &effect.run_id, &effect.effect_id, effect.record["business_key"].as_str().unwrap()] {
        let shown = typed(&stack, &["show", id]).await;
        shown.says(&[&effect.effect_id, "parked", "created", "attempt 1: ", "422"]);
        assert!(!shown.out.contains("2599"), "what it was given is shown only if that is asked for");
    }
    for args in [&["show", EVENT, "--json"][..], &["list", "--json"]] {
        let shown = typed(&stack, args).await.out;
        assert!(shown.contains(EVENT) && !shown.contains("2599"), "{args:?}");
    }
    assert_eq!(typed(&stack, &["show", ":runs"]).await.code, Some(1));
    assert!(typed(&stack, &["show", EVENT, "--input"]).await.out.contains("2599"));
    typed(&stack, &["stats"]).await.says(&["step", "parked", "open_ticket", "1"]);
    assert_eq!(typed(&stack, &["stats", "--json"]).await.json()["steps"]["open_ticket"]["parked"], 1);
    let unknown = typed(&stack, &["show", "evt_unknown"]).await;
    assert!(unknown.code == Some(1) && unknown.err.contains("Nothing is on record"), "{}", unknown.err);
    stack.finish().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn tail_prints_effects_when_they_arrive_and_end() {
    let stack = builder().await.start().await.unwrap();
    let mut tail = command(&stack, &["tail", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    // `tail` prints only effects that arrive after its start. Its first query shows that it has started.
    let asks = |seen: &Seen| seen.is("Query") && seen.mentions("recent");
    stack.table_proxy().unwrap().once(asks, Fault::Pass).within(Duration::from_secs(20)).await.unwrap();
    stack.broker_proxy.close().await;
    stack.deliver(&Webhook::sample("stripe.charge.dispute.created").unwrap()).await.unwrap();
    let mut told = tokio::task::spawn_blocking(move || {
        let status = |line: String| {
            serde_json::from_str::<Value>(&line).unwrap()["status"].as_str().unwrap().to_owned()
        };
        let first = status(lines.next().unwrap().unwrap());
        (first, lines.map(move |line| status(line.unwrap())))
    })
    .await
    .unwrap();
    assert_eq!(told.0, "pending");
    stack.broker_proxy.open().await.unwrap();
    stack.run_until_settled(Duration::from_secs(40)).await.unwrap();
    let done = tokio::task::spawn_blocking(move || told.1.any(|status| status == "done"));
    assert!(tokio::time::timeout(Duration::from_secs(20), done).await.unwrap().unwrap());
    tail.kill().unwrap();
    tail.wait().unwrap();
    stack.finish().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_command_retries_many_parked_effects() {
    let (stack, effect) = refused().await;
    park_more(&stack, &effect, 499).await;
    typed(&stack, &["parked"]).await.says(&["500", "open_ticket", "422", "500 effects parked"]);

    let all = typed(&stack, &["decide", "retry", "--note", "fixed"]).await;
    assert!(all.code == Some(2) && all.err.contains("which?"), "{}", all.err);
    let unasked = typed(&stack, &["decide", "retry", "--step", "open_ticket", "--note", "fixed"]).await;
    assert!(unasked.code == Some(2) && unasked.err.contains("--yes"), "{}", unasked.err);
    unasked_says(&unasked);
    let plan = ["decide", "retry", "--error", "422", "--note", "fixed", "--plan", "--json"];
    assert_eq!(typed(&stack, &plan).await.json()["plan"]["would_decide"], 500);
    assert!(stack.effects().await.unwrap().iter().all(Effect::is_parked), "nothing has changed");

    let decided = typed(&stack, &["decide", "retry", "--error", "422", "--note", "fixed", "--yes"]).await;
    assert_eq!(decided.code, Some(0), "{}", decided.err);
    decided.says(&["500 effects decided"]);
    stack.run_until_settled(Duration::from_secs(120)).await.unwrap();
    assert_eq!(stack.third_party.ledger().applied().len(), 500);
    stack.finish().await.unwrap();
}

#[track_caller]
fn unasked_says(ended: &Ended) {
    assert!(ended.err.contains("500 of 500 parked would be retried"), "{}", ended.err);
    assert_eq!(ended.err.matches("stripe.evt_").count(), 5, "{}", ended.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_that_is_killed_in_the_middle_goes_on_where_it_was() {
    let (stack, effect) = refused().await;
    park_more(&stack, &effect, 600).await;
    let args = ["decide", "retry", "--step", "open_ticket", "--note", "fixed", "--yes"];
    kill_at(&stack, &args, |seen| seen.is("UpdateItem") && seen.mentions("du_333_")).await;
    let left = stack.effects().await.unwrap().iter().filter(|effect| effect.is_parked()).count();
    assert!((1..600).contains(&left), "{left}");

    let decided = typed(&stack, &args).await;
    assert_eq!(decided.code, Some(0), "{}", decided.err);
    // The killed command may have had requests on their way, so the number is not known.
    decided.says(&["effects decided"]);
    for effect in stack.effects().await.unwrap() {
        let history = effect.record["history"].as_array().unwrap().clone();
        let decisions =
            history.iter().filter(|entry| entry["what"].as_str().unwrap().starts_with("retry: fixed"));
        assert_eq!((effect.is_parked(), decisions.count()), (false, 1), "{}", effect.effect_id);
    }
    stack.run_until_settled(Duration::from_secs(120)).await.unwrap();
    assert_eq!(stack.third_party.ledger().applied().len(), 601);
    stack.finish().await.unwrap();
}
