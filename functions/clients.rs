//! Clients for the broker and AWS, made once at start. They share one HTTP client: one connection pool, one
//! TLS backend (rustls on ring, whose start costs nothing; aws-lc's takes 30 ms) and one list of trusted
//! authorities (`trust`). `connector` makes the AWS SDK use this HTTP client; `direct` sends the consumer's
//! writes without the SDK.
//! [Third parties](crate::third_parties) have clients of their own.

mod aws;
mod aws_signature;
pub mod connector;
pub(crate) mod direct;
mod endpoint;
pub mod invoke;
pub(crate) mod trust;

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::{Client as DynamoDb, config::timeout::TimeoutConfig};
use reqwest::redirect;
use rustls::ClientConfig;

pub use self::{
    aws::{aws, retries},
    aws_signature::AwsSigner,
    direct::Direct,
};
use crate::config::{ConfigError, environment::Lookup};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// A connection that was idle longer is not reused. A function is frozen between invocations, and a request on a
/// connection that died meanwhile would leave its effect in doubt. DriftQ closes idle connections after 5 s.
const IDLE_CONNECTION: Duration = Duration::from_secs(4);

/// Time limits of an AWS client.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Of one attempt.
    pub attempt: Duration,
    /// Of all attempts of a request.
    pub operation: Duration,
}

impl Patience {
    /// A provider waits at most 3 s for an answer, and the broker may use one of them.
    pub const INGEST: Self =
        Self { attempt: Duration::from_millis(800), operation: Duration::from_millis(1700) };
    /// Long limits: no caller waits, and a commit that is given up puts an effect in doubt.
    pub const CONSUMER: Self =
        Self { attempt: Duration::from_millis(1500), operation: Duration::from_secs(5) };

    /// Long limits: at start no caller waits, and a refresh has a limit of its own.
    pub(crate) const SECRETS: Self =
        Self { attempt: Duration::from_millis(1500), operation: Duration::from_secs(5) };

    pub(crate) fn timeouts(self) -> TimeoutConfig {
        TimeoutConfig::builder()
            .operation_attempt_timeout(self.attempt)
            .operation_timeout(self.operation)
            .build()
    }
}

/// The HTTP client for the broker and AWS: no redirects, no proxies. Third parties have [clients of their own](crate::third_parties).
///
/// # Errors
/// `SSL_CERT_FILE` can't be used.
pub fn http(get: Lookup<'_>) -> Result<reqwest::Client, ConfigError> {
    builder(trust::tls(get)?).build().map_err(|error| unusable(&error))
}

pub(crate) fn builder(tls: ClientConfig) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_CONNECTION)
        .no_proxy()
}

pub(crate) fn unusable(error: &reqwest::Error) -> ConfigError {
    ConfigError::one("environment", "TLS", error.to_string())
}

/// A DynamoDB client.
#[must_use]
pub fn dynamodb(aws: &SdkConfig, patience: Patience) -> DynamoDb {
    let config = aws_sdk_dynamodb::config::Builder::from(aws).timeout_config(patience.timeouts());
    DynamoDb::from_conf(config.build())
}
