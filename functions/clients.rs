//! Clients, made once at start, over one HTTP client: one pool, one TLS backend (rustls on ring, whose start costs nothing;
//! aws-lc's takes 30 ms) and one list of whom to `trust`. The AWS SDK gets it by a `connector`. `third_parties` have clients of
//! their own, which look where a name leads, and show a `certificate` to who asks for it.

mod aws;
mod aws_signature;
mod certificate;
pub mod connector;
pub(crate) mod direct;
pub mod invoke;
mod third_parties;
mod trust;

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::{Client as DynamoDb, config::timeout::TimeoutConfig};
use aws_sdk_secretsmanager::Client as SecretsManager;
use reqwest::redirect;
use rustls::ClientConfig;

pub use self::{
    aws::{aws, retries},
    aws_signature::AwsSigner,
    direct::Direct,
    third_parties::ThirdParties,
};
use crate::{
    config::{
        ConfigError,
        brokers::{Brokers, Role},
        environment::{Environment, Lookup, Signatures},
    },
    secrets::{COMMAND_KEY, DRIFTQ_AUTH_HEADER, Names, Secret, Secrets, Vault},
    topic::Topic,
    topics::Topics,
};

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
    /// A provider waits for an answer, for 3 s at most, of which the broker may use one.
    pub const INGEST: Self =
        Self { attempt: Duration::from_millis(800), operation: Duration::from_millis(1700) };
    /// No caller waits, and a commit that is given up puts an effect in doubt.
    pub const CONSUMER: Self =
        Self { attempt: Duration::from_millis(1500), operation: Duration::from_secs(5) };

    /// At start no caller waits; a refresh has a limit of its own.
    const SECRETS: Self = Self { attempt: Duration::from_millis(1500), operation: Duration::from_secs(5) };

    fn timeouts(self) -> TimeoutConfig {
        TimeoutConfig::builder()
            .operation_attempt_timeout(self.attempt)
            .operation_timeout(self.operation)
            .build()
    }
}

/// The HTTP client for the broker and AWS: no redirects, no proxies. Third parties have [`ThirdParties`].
///
/// # Errors
/// `SSL_CERT_FILE` can't be used.
pub fn http(get: Lookup<'_>) -> Result<reqwest::Client, ConfigError> {
    builder(trust::tls(get)?).build().map_err(|error| unusable(&error))
}

fn builder(tls: ClientConfig) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_CONNECTION)
        .no_proxy()
}

fn unusable(error: &reqwest::Error) -> ConfigError {
    ConfigError::one("environment", "TLS", error.to_string())
}

/// A DynamoDB client.
#[must_use]
pub fn dynamodb(aws: &SdkConfig, patience: Patience) -> DynamoDb {
    let config = aws_sdk_dynamodb::config::Builder::from(aws).timeout_config(patience.timeouts());
    DynamoDb::from_conf(config.build())
}

/// The store of these secrets: the secret that `SECRETS_ARN` names, else the environment.
#[must_use]
pub fn vault(
    aws: &SdkConfig,
    environment: &Environment,
    names: Names,
    get: fn(&str) -> Option<String>,
) -> Vault {
    let Some(id) = environment.secrets_arn.clone() else { return Vault::environment(names, get) };
    let config =
        aws_sdk_secretsmanager::config::Builder::from(aws).timeout_config(Patience::SECRETS.timeouts());
    Vault::secrets_manager(names, SecretsManager::from_conf(config.build()), id)
}

/// The topic of commands at each broker, with the header that its proxy requires.
///
/// # Errors
/// `DRIFTQ_AUTH_HEADER` can't be used, or it would be sent unencrypted, or commands unsigned, to a broker on another machine.
pub fn command_topics(
    http: &reqwest::Client,
    environment: &Environment,
    secrets: &Secrets,
) -> Result<Topics, ConfigError> {
    let Brokers { first, more, draining } = &environment.brokers;
    let all = || [first].into_iter().chain(more).chain(draining);
    let is_required = environment.command_signatures == Signatures::Required;
    if is_required && secrets.get(COMMAND_KEY).is_none() && !all().all(driftq_client::Address::is_loopback) {
        return Err(ConfigError::one("secrets", COMMAND_KEY, UNSIGNED.to_owned()));
    }
    let auth = secrets.get(DRIFTQ_AUTH_HEADER).map(Secret::expose);
    if let Some(exposed) = all().find(|address| auth.is_some() && address.is_exposed()) {
        let problem = format!(
            "would be sent unencrypted to {exposed}; write https:// in {} and {}, or take this secret out",
            Role::Accepting.variable(),
            Role::Draining.variable()
        );
        return Err(ConfigError::one("secrets", DRIFTQ_AUTH_HEADER, problem));
    }
    let topic = |address: &driftq_client::Address| {
        let broker = driftq_client::Client::new(http.clone(), address.clone(), auth)
            .map_err(|error| ConfigError::one("secrets", DRIFTQ_AUTH_HEADER, error.to_string()))?;
        Ok(Topic { broker, name: environment.topic.clone(), partitions: environment.partitions })
    };
    let topics =
        |addresses: &[driftq_client::Address]| addresses.iter().map(topic).collect::<Result<Vec<_>, _>>();
    Ok(Topics::new(topic(first)?, topics(more)?, topics(draining)?))
}

const UNSIGNED: &str = "missing; whoever reaches the broker could have commands carried out with our credentials. Set it to 32 \
                        random bytes in hex, the same for both functions (openssl rand -hex 32)";
