//! What of a failed read is tried again, as by the SDK's clients.

use std::time::Duration;

use local::http::Answer;
use serde_json::Value;

use super::*;

async fn read(manager: &SecretsManager) -> Result<Secrets, ConfigError> {
    let retries = RetryConfig::standard().with_max_attempts(2);
    let aws = aws(manager).into_builder().retry_config(retries).build();
    let get = |_: &str| panic!("it is in the secret store");
    SecretStore::open(&http(), &aws, &environment(), names(&["A"]), get).unwrap().read().await
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_a_refusal_is_not() {
    let server_error = Answer::of_json(500, &Value::Null).with_body("<html>");
    for (fault, fetches, succeeds) in [
        (Fault::CutBefore, 2, true),
        (Fault::Answer(server_error), 2, true),
        (Fault::Answer(failure("ThrottlingException", "Rate exceeded")), 2, true),
        (Fault::Answer(failure("AccessDeniedException", "not authorized")), 1, false),
        (Fault::Answer(Answer::of_json(200, &Value::Null)), 1, false),
    ] {
        let manager = SecretsManager::start(&values("a")).await.unwrap();
        manager.wire.once(|_| true, fault.clone());
        let read = read(&manager).await;
        assert_eq!((read.is_ok(), manager.fetches()), (succeeds, fetches), "{fault:?}: {read:?}");
    }
}

#[tokio::test]
async fn there_is_an_end_of_tries() {
    let manager = SecretsManager::start(&values("a")).await.unwrap();
    let hits = manager.wire.always(|_| true, Fault::Answer(failure("ThrottlingException", "Rate exceeded")));
    let error = tokio::time::timeout(Duration::from_secs(20), read(&manager)).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("ThrottlingException"), "{error}");
    assert_eq!(hits.count(), 2);
}
