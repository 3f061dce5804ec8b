//! `export`: all records of a period, one JSON object per line.

use std::{collections::BTreeSet, process::Stdio};

use local::{http::Answer, stack::Stack};
use serde_json::{Value, json};

use super::{
    Ended,
    operate::{command, park_more, refused, typed},
};

/// The lines of that kind.
fn lines(ended: &Ended, kind: &str) -> Vec<Value> {
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let lines = ended.out.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.filter(|line: &Value| line["kind"] == kind).collect()
}

/// A message that is no command, so that it is parked.
async fn no_command(stack: &Stack) {
    let produce = reqwest::Client::new().post(format!("{}/v1/produce", stack.broker_proxy.url()));
    let produce = produce.header("content-type", "application/json");
    let body = json!({ "topic": stack.topic, "value": "no command" }).to_string();
    let answer = Answer::read(produce.body(body).send().await.unwrap()).await.unwrap();
    assert!((200..300).contains(&answer.status), "{}", answer.status);
    stack.run_consumer().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn export_has_every_record_and_inputs_only_on_request() {
    let (stack, effect) = refused().await;
    park_more(&stack, &effect, 300).await;
    no_command(&stack).await;
    let note = "their fault is over";
    let decide = ["decide", "discard", "--key", effect.record["business_key"].as_str().unwrap()];
    let decided = typed(&stack, &[&decide[..], &["--note", note, "--yes"]].concat()).await;
    assert_eq!(decided.code, Some(0), "{}", decided.err);

    let all = typed(&stack, &["export", "--since", "1h"]).await;
    let effects = lines(&all, "effect");
    let ids: BTreeSet<_> = effects.iter().map(|effect| effect["effect_id"].as_str().unwrap()).collect();
    assert_eq!((effects.len(), ids.len()), (301, 301));
    let exported = effects.iter().find(|line| line["effect_id"] == *effect.effect_id).unwrap();
    let decision = exported["history"].as_array().unwrap().last().unwrap();
    assert!(decision["what"].as_str().unwrap().starts_with("discard: their fault is over"), "{decision}");
    assert!(decision["by"].as_str().unwrap().ends_with("on the command line"), "{decision}");
    let bulk = lines(&all, "bulk").remove(0);
    assert_eq!((&bulk["decision"], &bulk["note"]), (&json!("discard"), &json!(note)));
    assert_eq!(bulk["filter"]["business_key"], effect.record["business_key"]);
    assert!(decision["what"].as_str().unwrap().contains(bulk["bulk"].as_str().unwrap()));
    assert_eq!(lines(&all, "message").len(), 1);
    assert!(
        !all.out.contains("\"command\"") && !all.out.contains("2599") && !all.out.contains("no command\"")
    );
    let given = typed(&stack, &["export", "--since", "1h", "--input"]).await;
    assert!(given.out.contains("2599") && given.out.contains("\"command\":\"no command\""));

    let filtered = typed(&stack, &["export", "--since", "1h", "--state", "discarded"]).await;
    assert_eq!((lines(&filtered, "effect").len(), filtered.out.lines().count()), (1, 1));
    let earlier = typed(&stack, &["export", "--since", "2h", "--until", "1h"]).await;
    assert_eq!((earlier.code, earlier.out.as_str()), (Some(0), ""));
    assert_eq!(typed(&stack, &["export"]).await.code, Some(2), "a time must be given");
    stack.finish().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_ends_with_its_reader() {
    let (stack, effect) = refused().await;
    park_more(&stack, &effect, 600).await;
    let mut child = command(&stack, &["export", "--since", "1h"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ended = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
    assert!(ended.success());
    let pages = stack.table_proxy().unwrap().seen_where(|seen| seen.is("BatchGetItem")).len();
    assert!(pages < 6, "it has read all {pages} pages for nobody");
    stack.finish().await.unwrap();
}
