//! Against a Secrets Manager that speaks HTTP; the clock is ours.

use std::collections::BTreeMap;

use aws_sdk_secretsmanager::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig},
};
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use local::{
    proxy::Fault,
    secrets_manager::{ARN, SecretsManager, failure},
};

use super::*;

const START: Timestamp = Timestamp::UNIX_EPOCH;

fn names(names: &[&str]) -> Names {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn values(value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("A".to_owned(), value.to_owned())])
}

fn vault(manager: &SecretsManager, wanted: &[&str]) -> Vault {
    crate::clients::install_tls();
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::for_tests())
        .endpoint_url(manager.wire.url())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::disabled());
    Vault::secrets_manager(names(wanted), Client::from_conf(config.build()), ARN.to_owned())
}

async fn current(vault: Vault) -> Result<Current<String>, ConfigError> {
    let make = |secrets: &Secrets| Ok(secrets.get("A").map_or("", Secret::expose).to_owned());
    Current::start(vault, START, make).await
}

fn after(seconds: i64) -> Timestamp {
    START + SignedDuration::from_secs(seconds)
}

#[tokio::test]
async fn every_secret_that_is_missing_is_named_and_no_value_is() {
    let manager = SecretsManager::start(&values("hunter2")).await.unwrap();
    manager.put(r#"{"A":"hunter2","B":"  ","C":7,"D":null,"F":["hunter2"]}"#);
    let error = current(vault(&manager, &["A", "B", "C", "D", "E", "F"])).await.unwrap_err();
    let fields: Vec<_> = error.problems.iter().map(|problem| problem.field.as_str()).collect();
    assert_eq!(fields, ["B", "C", "D", "E", "F"]);
    assert!(error.file.contains(ARN) && !error.to_string().contains("hunter2"), "{error}");
}

#[tokio::test]
async fn what_is_no_object_is_not_quoted() {
    let manager = SecretsManager::start(&values("")).await.unwrap();
    for text in [r#""hunter2""#, "hunter2", r#"["hunter2"]"#, r#"{"A":"hunter2""#, ""] {
        manager.put(text);
        let error = current(vault(&manager, &["A"])).await.unwrap_err().to_string();
        assert!(error.contains("not a JSON object") && !error.contains("hunter"), "{error}");
    }
    let truncated =
        local::http::Answer::of_json(200, &serde_json::Value::Null).with_body("{\"SecretString\":\"hunter2");
    manager.wire.always(|_| true, Fault::Answer(truncated));
    let error = current(vault(&manager, &["A"])).await.unwrap_err().to_string();
    assert!(error.contains("can't be read") && !error.contains("hunter"), "{error}");
}

#[tokio::test]
async fn a_vault_that_is_not_to_be_reached_says_why() {
    let manager = SecretsManager::start(&values("a")).await.unwrap();
    let denied = failure("AccessDeniedException", "not authorized to perform: secretsmanager:GetSecretValue");
    manager.wire.once(|_| true, Fault::Answer(denied));
    let error = current(vault(&manager, &["A"])).await.unwrap_err().to_string();
    assert!(error.contains("AccessDeniedException: not authorized") && error.contains(ARN), "{error}");
    manager.wire.close().await;
    let error = current(vault(&manager, &["A"])).await.unwrap_err().to_string();
    assert!(error.contains("dispatch failure") && error.contains("refused"), "{error}");
}

#[tokio::test]
async fn nobody_is_asked_for_nothing() {
    let manager = SecretsManager::start(&values("a")).await.unwrap();
    assert_eq!(*current(vault(&manager, &[])).await.unwrap().get(), "");
    assert_eq!(manager.fetches(), 0);
}

#[tokio::test]
async fn a_rotated_secret_is_found_in_the_same_breath_by_all_who_ask() {
    let manager = SecretsManager::start(&values("old")).await.unwrap();
    let current = current(vault(&manager, &["A"])).await.unwrap();
    let old = current.get();
    manager.put_all(&values("new"));
    let asked = join_all((0..20).map(|_| current.other_than(&old, START))).await;
    assert!(asked.iter().all(|other| other.as_ref().is_some_and(|other| **other == "new")), "{asked:?}");
    assert_eq!(manager.fetches(), 2, "once at start, once for all of them");
}

#[tokio::test]
async fn it_is_asked_again_at_most_once_a_minute_whatever_it_answers() {
    let manager = SecretsManager::start(&values("old")).await.unwrap();
    let current = current(vault(&manager, &["A"])).await.unwrap();
    let old = current.get();
    let throttled = failure("ThrottlingException", "Rate exceeded");
    let hits = manager.wire.always(|_| true, Fault::Answer(throttled));
    for (second, fetches) in [(0, 1), (1, 1), (59, 1), (60, 2), (61, 2), (119, 2), (121, 3)] {
        assert_eq!(current.other_than(&old, after(second)).await, None, "the old ones stay");
        assert_eq!(hits.count(), fetches, "at {second} s");
    }
    manager.wire.heal();
    manager.put_all(&values("new"));
    assert_eq!(current.other_than(&old, after(180)).await, None, "too early");
    // An hour back: the clock was wrong.
    let new = current.other_than(&old, after(-3600)).await.unwrap();
    assert_eq!(*new, "new");
    assert_eq!(current.other_than(&old, after(-3600)).await, Some(new), "known without asking");
}

#[tokio::test]
async fn what_is_old_is_read_again_and_what_is_young_is_not() {
    let manager = SecretsManager::start(&values("old")).await.unwrap();
    let current = current(vault(&manager, &["A"])).await.unwrap();
    manager.put_all(&values("new"));
    assert_eq!(*current.fresh(after(300)).await, "old");
    manager.wire.once(|_| true, Fault::CutBefore);
    assert_eq!(*current.fresh(after(301)).await, "old", "it could not be read");
    assert_eq!(*current.fresh(after(302)).await, "old", "at most once a minute");
    assert_eq!(*current.fresh(after(361)).await, "new");
    assert_eq!(*current.fresh(after(600)).await, "new");
    assert_eq!(manager.fetches(), 3);
}

#[tokio::test]
async fn a_vault_that_never_answers_or_lost_a_secret_changes_nothing() {
    let manager = SecretsManager::start(&values("old")).await.unwrap();
    let current = current(vault(&manager, &["A"])).await.unwrap();
    let old = current.get();
    manager.wire.once(|_| true, Fault::HangBefore);
    assert_eq!(current.other_than(&old, START).await, None);
    manager.put(r#"{"A":""}"#);
    assert_eq!(current.other_than(&old, after(60)).await, None);
    assert_eq!((manager.fetches(), &**current.get()), (3, "old"));
}

#[tokio::test]
async fn variables_are_read_once() {
    let vault = Vault::environment(names(&["A"]), |name| (name == "A").then(|| "a".to_owned()));
    let current = current(vault).await.unwrap();
    assert_eq!(current.other_than(&current.get(), after(1000)).await, None);
    assert_eq!(*current.fresh(after(1000)).await, "a");
    let error = Current::start(Vault::environment(names(&["A", "B"]), |_| None), START, |_| Ok(())).await;
    let problems = error.unwrap_err().problems;
    assert_eq!(problems.iter().map(|problem| problem.field.as_str()).collect::<Vec<_>>(), ["A", "B"]);
}

#[test]
fn no_value_is_printed() {
    let secrets = Secrets::find(&names(&["A"]), "here", |_| Some("hunter2".to_owned())).unwrap();
    assert_eq!(format!("{secrets:?}"), r#"Secrets({"A": Secret(…)})"#);
    let vault = Vault::environment(names(&["A"]), |_| Some("hunter2".to_owned()));
    let current = tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(current(vault));
    assert!(!format!("{current:?}").contains("hunter2"));
}
