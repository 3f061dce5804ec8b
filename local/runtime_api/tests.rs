//! Tests with shell scripts as functions: with curl, a script can be a Lambda runtime.
#![cfg(unix)]

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use serde_json::json;

use super::{Function, InvokeError, Program};

const SECOND: Duration = Duration::from_secs(10);

/// A script that answers every event by what `answer` does with `$id` and `$event`.
/// Each process has its own file of headers: one that is being ended may still write to it.
fn function(dir: &Path, answer: &str) -> Function {
    let binary = dir.join("function");
    let script = format!(
        r#"#!/bin/sh
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime"
reply() {{ /usr/bin/curl -s -o /dev/null --data-binary "$2" "$api/invocation/$id/$1"; }}
echo started
while true; do
  event=$(/usr/bin/curl -s -D "{headers}.$$" "$api/invocation/next") || exit 9
  id=$(/bin/sed -n 's/^lambda-runtime-aws-request-id: *//Ip' "{headers}.$$" | /usr/bin/tr -d '\r')
  {answer}
done
"#,
        headers = dir.join("headers").display(),
    );
    fs::write(&binary, script).unwrap();
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
    let env = vec![("GREETING".to_owned(), "hello".to_owned())];
    Function::new(Program { name: "f".into(), binary, env, sandboxes: 1 })
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_answers_event_after_event() {
    let dir = tempfile::tempdir().unwrap();
    let function = function(dir.path(), r#"reply response "{\"got\":$event,\"env\":\"$GREETING$HOME\"}""#);
    for n in 0..3 {
        let reply = function.invoke(&json!({ "n": n }), SECOND).await.unwrap();
        assert_eq!(reply, json!({ "got": { "n": n }, "env": "hello" }));
    }
    assert_eq!((function.starts().len(), function.pids().len()), (1, 1));
    assert_eq!(function.log().lines()[0].text, "started");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invocation_under_way_ends_as_it_began_and_the_next_one_has_what_was_deployed() {
    let dir = tempfile::tempdir().unwrap();
    let wait = dir.path().join("go");
    let until_there = format!("while [ ! -e {0} ]; do /bin/sleep 0.02; done", wait.display());
    let reply = r#"reply response "{\"env\":\"$GREETING\"}""#;
    let function = function(dir.path(), &format!("echo working\n{until_there}\n{reply}"));
    let (event, log) = (json!(1), function.log());
    let deploy = async {
        while !log.lines().iter().any(|line| line.text == "working") {
            tokio::task::yield_now().await;
        }
        function.deploy(&[("GREETING", "goodbye")]);
        fs::write(&wait, "").unwrap();
    };
    let (old, ()) = tokio::join!(function.invoke(&event, SECOND), deploy);
    assert_eq!(old.unwrap(), json!({ "env": "hello" }));
    for _ in 0..2 {
        assert_eq!(function.invoke(&event, SECOND).await.unwrap(), json!({ "env": "goodbye" }));
    }
    assert_eq!((function.starts().len(), function.pids().len()), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answered_error_is_not_a_death() {
    let dir = tempfile::tempdir().unwrap();
    let function = function(dir.path(), r#"reply error '{"errorType":"Oh","errorMessage":"no"}'"#);
    let error = function.invoke(&json!({}), SECOND).await.unwrap_err();
    assert!(
        matches!(&error, InvokeError::Answered { kind, message, .. } if kind == "Oh" && message == "no"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_death_the_next_invocation_has_a_fresh_process() {
    let dir = tempfile::tempdir().unwrap();
    let function = function(dir.path(), r#"if [ "$event" = 1 ]; then kill -9 $$; fi; reply response "$$""#);
    let first = function.invoke(&json!(0), SECOND).await.unwrap();
    let death = function.invoke(&json!(1), SECOND).await.unwrap_err();
    assert!(death.is_death(), "{death}");
    let second = function.invoke(&json!(0), SECOND).await.unwrap();
    assert_ne!(first, second);
    assert_eq!(function.pids().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killer_ends_an_open_invocation() {
    let dir = tempfile::tempdir().unwrap();
    let function = function(dir.path(), "echo working; exec /bin/sleep 60");
    let (killer, mut lines) = (function.killer(), function.log().follow());
    let killing = tokio::spawn(async move {
        while lines.recv().await.unwrap().text != "working" {}
        killer.kill().await
    });
    let death = function.invoke(&json!({}), SECOND).await.unwrap_err();
    assert!(death.is_death(), "{death}");
    assert_eq!(killing.await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_answer_is_a_timeout_and_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let function = function(dir.path(), "exec /bin/sleep 60");
    let error = function.invoke(&json!({}), Duration::from_millis(300)).await.unwrap_err();
    assert!(matches!(error, InvokeError::TimedOut { .. }), "{error}");
    assert!(function.pids().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_start_says_what_was_printed() {
    let dir = tempfile::tempdir().unwrap();
    let binary = dir.path().join("function");
    fs::write(&binary, "#!/bin/sh\necho EFFECTS_TABLE is missing >&2\nexit 3\n").unwrap();
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
    let function = Function::new(Program { name: "f".into(), binary, env: vec![], sandboxes: 1 });
    let error = function.warm().await.unwrap_err().to_string();
    assert!(error.contains("EFFECTS_TABLE is missing") && error.contains("exit status: 3"), "{error}");
}
