//! Tests of secrets, against a Secrets Manager that speaks HTTP, with a clock that the tests set.

mod functions;
mod renewal;
mod store;

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::config::{
    BehaviorVersion, Credentials, Region, SharedCredentialsProvider, retry::RetryConfig,
};
use jiff::{SignedDuration, Timestamp};
use local::{
    proxy::Fault,
    secrets_manager::{ARN, SecretsManager, failure},
};

use super::*;
use crate::{
    clients::{self, connector},
    config::environment::Environment,
};

const START: Timestamp = Timestamp::UNIX_EPOCH;

fn after(seconds: i64) -> Timestamp {
    START + SignedDuration::from_secs(seconds)
}

fn names(names: &[&str]) -> Names {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn values(value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("A".to_owned(), value.to_owned())])
}

/// An AWS configuration whose only endpoint is that Secrets Manager.
fn aws(manager: &SecretsManager) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests()))
        .endpoint_url(manager.proxy.url())
        .http_client(connector::over(http()))
        .retry_config(RetryConfig::disabled())
        .build()
}

fn http() -> reqwest::Client {
    clients::http(&|_| None).unwrap()
}

/// An environment. These tests don't need its broker.
fn environment() -> Environment {
    let variables =
        [("DRIFTQ_HTTP_URL", "http://127.0.0.1:1"), ("EFFECTS_TABLE", "effects"), ("SECRETS_ARN", ARN)];
    let get = |name: &str| Some(variables.iter().find(|(other, _)| *other == name)?.1.to_owned());
    Environment::read(&get).unwrap()
}

fn store(manager: &SecretsManager, wanted: &[&str]) -> SecretStore {
    let get = |_: &str| panic!("it is in the secret store");
    SecretStore::open(&aws(manager), &environment(), names(wanted), get)
}

async fn current(store: SecretStore) -> Result<Current<String>, ConfigError> {
    let make = |secrets: &Secrets| Ok(secrets.get("A").map_or("", Secret::expose).to_owned());
    Current::start(store, START, make).await
}
