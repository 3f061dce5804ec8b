//! What all AWS clients share: region, credentials and endpoints from the environment, and the HTTP client.
//!
//! Lambda provides these variables to every function. The SDK's own loader, `aws-config`, would also look for profiles, for the metadata
//! service and for roles: code that a function never runs, but carries and prepares at each start. The command line uses that loader.

use aws_sdk_dynamodb::config::{
    BehaviorVersion, Credentials, Region, SharedCredentialsProvider, StalledStreamProtectionConfig,
    retry::RetryConfig,
};
use aws_types::{
    SdkConfig,
    service_config::{LoadServiceConfig, ServiceConfigKey},
};

use super::connector;
use crate::config::{ConfigError, Problem};

/// The attempts of a request to AWS, and the longest pause before the second one; it doubles.
const TRIES: u32 = 4;
const BACKOFF: std::time::Duration = std::time::Duration::from_millis(50);

/// How requests are retried: the SDK's standard retries
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html>).
///
/// Throttling, 5xx, and answers that are lost or late are tried again, 4 times in all, after up to 50, 100 and 200 ms of
/// full jitter. The adaptive ones would hold back a commit because other requests were throttled. A write that is tried
/// again can lose to its own first try: see `effects::store`.
#[must_use]
pub fn retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(TRIES).with_initial_backoff(BACKOFF)
}

/// Reads the variables that every AWS SDK reads: `AWS_REGION`, the credentials, `AWS_ENDPOINT_URL` and that of each service, and whether
/// endpoints are those for FIPS or for dual stack.
///
/// # Errors
/// Every variable that is missing.
pub fn aws(http: reqwest::Client, get: fn(&str) -> Option<String>) -> Result<SdkConfig, ConfigError> {
    let set = |name: &str| get(name).filter(|value| !value.trim().is_empty());
    let mut problems = Vec::new();
    let mut required = |name: &str, value: Option<String>| {
        value.unwrap_or_else(|| {
            let message = "missing; Lambda sets it, and elsewhere `aws configure export-credentials --format env` prints it";
            problems.push(Problem { line: None, field: name.to_owned(), message: message.to_owned() });
            String::new()
        })
    };
    let region = required("AWS_REGION", set("AWS_REGION").or_else(|| set("AWS_DEFAULT_REGION")));
    let key = required("AWS_ACCESS_KEY_ID", set("AWS_ACCESS_KEY_ID"));
    let secret = required("AWS_SECRET_ACCESS_KEY", set("AWS_SECRET_ACCESS_KEY"));
    if !problems.is_empty() {
        return Err(ConfigError { file: "environment".to_owned(), problems });
    }
    let credentials = Credentials::new(key, secret, set("AWS_SESSION_TOKEN"), None, "environment");
    let is_on = |name: &str| set(name).map(|value| value.eq_ignore_ascii_case("true"));
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .service_config(OwnEndpoints(get))
        .http_client(connector::over(http))
        .retry_config(retries())
        // Each try has a time limit that is shorter than what this would wait for.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    config.set_endpoint_url(set("AWS_ENDPOINT_URL"));
    config.set_use_fips(is_on("AWS_USE_FIPS_ENDPOINT"));
    config.set_use_dual_stack(is_on("AWS_USE_DUALSTACK_ENDPOINT"));
    Ok(config.build())
}

/// The endpoint of one service, as in `AWS_ENDPOINT_URL_DYNAMODB`.
#[derive(Debug)]
struct OwnEndpoints(fn(&str) -> Option<String>);

impl LoadServiceConfig for OwnEndpoints {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let service = key.service_id().to_uppercase().replace(' ', "_");
        (self.0)(&format!("{}_{service}", key.env())).filter(|value| !value.trim().is_empty())
    }
}
