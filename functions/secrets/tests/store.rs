//! Which secrets are found, and the errors about the others.

use local::http::Answer;

use super::*;

#[tokio::test]
async fn every_secret_that_is_missing_is_named_and_no_value_is() {
    let manager = SecretsManager::start(&values("hunter2")).await.unwrap();
    manager.put(r#"{"A":"hunter2","B":"  ","C":7,"D":null,"F":["hunter2"]}"#);
    let error = current(store(&manager, &["A", "B", "C", "D", "E", "F"])).await.unwrap_err();
    let fields: Vec<_> = error.problems.iter().map(|problem| problem.field.as_str()).collect();
    assert_eq!(fields, ["B", "C", "D", "E", "F"]);
    assert!(error.file.contains(ARN) && !error.to_string().contains("hunter2"), "{error}");
}

#[tokio::test]
async fn what_is_no_object_is_not_quoted() {
    let manager = SecretsManager::start(&values("")).await.unwrap();
    for text in [r#""hunter2""#, "hunter2", r#"["hunter2"]"#, r#"{"A":"hunter2""#, ""] {
        manager.put(text);
        let error = current(store(&manager, &["A"])).await.unwrap_err().to_string();
        assert!(error.contains("not a JSON object") && !error.contains("hunter"), "{error}");
    }
    let truncated = Answer::of_json(200, &serde_json::Value::Null).with_body("{\"SecretString\":\"hunter2");
    manager.proxy.always(|_| true, Fault::Answer(truncated));
    let error = current(store(&manager, &["A"])).await.unwrap_err().to_string();
    assert!(error.contains("can't be read") && !error.contains("hunter"), "{error}");
}

#[tokio::test]
async fn a_secret_store_that_is_not_to_be_reached_says_why() {
    let manager = SecretsManager::start(&values("a")).await.unwrap();
    let denied = failure("AccessDeniedException", "not authorized to perform: secretsmanager:GetSecretValue");
    manager.proxy.once(|_| true, Fault::Answer(denied));
    let error = current(store(&manager, &["A"])).await.unwrap_err().to_string();
    assert!(error.contains("AccessDeniedException: not authorized") && error.contains(ARN), "{error}");
    manager.proxy.close().await;
    let error = current(store(&manager, &["A"])).await.unwrap_err().to_string();
    assert!(error.contains("dispatch failure") && error.contains("refused"), "{error}");
}

#[tokio::test]
async fn what_the_brokers_need_is_there_without_being_named() {
    let values =
        BTreeMap::from([(COMMAND_KEY.to_owned(), "a key".to_owned()), ("B".to_owned(), "b".to_owned())]);
    let manager = SecretsManager::start(&values).await.unwrap();
    let secrets = store(&manager, &[]).read().await.unwrap();
    assert_eq!(secrets.get(COMMAND_KEY).map(Secret::expose), Some("a key"));
    assert_eq!((secrets.get(DRIFTQ_AUTH_HEADER), secrets.get("B")), (None, None));
}

#[test]
fn no_value_is_printed() {
    let secrets =
        Secrets::find(&names(&["A"]), "here", |name| (name == "A").then(|| "hunter2".to_owned())).unwrap();
    assert_eq!(format!("{secrets:?}"), r#"Secrets({"A": Secret(…)})"#);
    let store = SecretStore::environment(names(&["A"]), |_| Some("hunter2".to_owned()));
    let current = tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(current(store));
    assert!(!format!("{current:?}").contains("hunter2"));
}
