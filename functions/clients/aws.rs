//! What all AWS clients share: region, credentials and endpoints from the environment, and the HTTP client.
//!
//! Lambda provides these variables to every function. The loader of `aws-config` would also look for profiles, for the metadata service
//! and for roles: code that a function never runs, but carries and prepares at each start. The command line uses that loader.

use std::{net::IpAddr, time::Duration};

use aws_config::{
    BehaviorVersion, Region, SdkConfig, retry::RetryConfig,
    stalled_stream_protection::StalledStreamProtectionConfig,
};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use url::{Host, Url};

use super::connector;
use crate::config::{ConfigError, Problem};

/// The variable with an endpoint for all services. With `_` and a service's name after it: for that service.
const ENDPOINT: &str = "AWS_ENDPOINT_URL";
/// The attempts of a request to AWS, and the longest pause before the second one; it doubles.
pub(super) const TRIES: u32 = 4;
pub(super) const BACKOFF: Duration = Duration::from_millis(50);

/// How requests are retried: the SDK's standard retries
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html>).
///
/// A request is tried up to 4 times, if it is throttled, gets a 5xx, or its answer is lost or late. The
/// pauses are up to 50, 100 and 200 ms, with full jitter. Adaptive retries would hold back a commit because
/// other requests were throttled. A write that is tried again can lose to its own first try: see
/// `effects::store`.
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
    config.set_endpoint_url(set(ENDPOINT));
    config.set_use_fips(is_on("AWS_USE_FIPS_ENDPOINT"));
    config.set_use_dual_stack(is_on("AWS_USE_DUALSTACK_ENDPOINT"));
    Ok(config.build())
}

/// The endpoint of one service, as in `AWS_ENDPOINT_URL_DYNAMODB`.
#[derive(Debug)]
struct OwnEndpoints(fn(&str) -> Option<String>);

impl LoadServiceConfig for OwnEndpoints {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        (self.0)(&variable(key.env(), key.service_id())).filter(|value| !value.trim().is_empty())
    }
}

/// The variable that sets something for one service.
fn variable(name: &str, service: &str) -> String {
    format!("{name}_{}", service.to_uppercase().replace(' ', "_"))
}

/// The endpoint of a service that is called without the SDK: that of its variable, such as `AWS_ENDPOINT_URL_LAMBDA`, or of
/// `AWS_ENDPOINT_URL`, or the region's own. Partitions besides `aws` and `aws-cn` need a variable.
pub(super) fn endpoint(aws: &SdkConfig, service: &str) -> Result<String, ConfigError> {
    let key = ServiceConfigKey::builder().service_id(service).env(ENDPOINT).profile("endpoint_url").build();
    let own = key.ok().and_then(|key| aws.service_config()?.load_config(key));
    match own.as_deref().or(aws.endpoint_url()) {
        Some(url) => usable(url)
            .map_err(|why| ConfigError::one("environment", &variable(ENDPOINT, service), why.to_owned())),
        None => Ok(endpoint_of_region(aws, service)),
    }
}

/// The region's endpoint of a service, as in <https://docs.aws.amazon.com/general/latest/gr/rande.html>.
fn endpoint_of_region(aws: &SdkConfig, service: &str) -> String {
    let host = service.to_lowercase().replace(' ', "");
    let fips = if aws.use_fips() == Some(true) { "-fips" } else { "" };
    let region = aws.region().map_or("", Region::as_ref);
    let suffix = match (region.starts_with("cn-"), aws.use_dual_stack() == Some(true)) {
        (false, false) => "amazonaws.com",
        (false, true) => "api.aws",
        (true, false) => "amazonaws.com.cn",
        (true, true) => "api.amazonwebservices.com.cn",
    };
    format!("https://{host}{fips}.{region}.{suffix}")
}

/// An endpoint without a trailing slash. Only a loopback one may be unencrypted.
fn usable(endpoint: &str) -> Result<String, &'static str> {
    let url = Url::parse(endpoint.trim()).map_err(|_| "not a URL")?;
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => IpAddr::from(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::from(ip).is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => {}
        "http" if loopback => {}
        "http" => return Err("http:// is for loopback only, use https://"),
        _ => return Err("neither an https:// nor an http:// URL"),
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::config::ProvideCredentials as _;

    use super::*;
    use crate::clients;

    fn config(get: fn(&str) -> Option<String>) -> Result<SdkConfig, ConfigError> {
        aws(clients::http(&|_| None)?, get)
    }

    #[test]
    fn every_missing_variable_is_named() {
        let fields =
            |get| config(get).unwrap_err().problems.into_iter().map(|it| it.field).collect::<Vec<_>>();
        let all = ["AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
        assert_eq!(fields(|_| None), all);
        assert_eq!(fields(|_| Some(" ".to_owned())), all, "blank ones are missing");
        assert_eq!(fields(|name| (!name.ends_with("REGION")).then(|| "x".to_owned())), ["AWS_REGION"]);
    }

    #[tokio::test]
    async fn variables_are_read_as_by_every_sdk() {
        let aws = config(|name| {
            let value = match name {
                "AWS_DEFAULT_REGION" => "eu-west-1",
                "AWS_USE_FIPS_ENDPOINT" => "true",
                "AWS_USE_DUALSTACK_ENDPOINT" => "false",
                "AWS_ENDPOINT_URL" => "http://127.0.0.1:1",
                "AWS_ENDPOINT_URL_LAMBDA" => "http://127.0.0.1:2",
                "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" | "AWS_SESSION_TOKEN" => name,
                _ => return None,
            };
            Some(value.to_owned())
        });
        let aws = aws.unwrap();
        assert_eq!(aws.region().map(Region::as_ref), Some("eu-west-1"));
        assert_eq!((aws.use_fips(), aws.use_dual_stack()), (Some(true), Some(false)));
        let credentials = aws.credentials_provider().unwrap().provide_credentials().await.unwrap();
        assert_eq!(credentials.access_key_id(), "AWS_ACCESS_KEY_ID");
        assert_eq!(credentials.secret_access_key(), "AWS_SECRET_ACCESS_KEY");
        assert_eq!(credentials.session_token(), Some("AWS_SESSION_TOKEN"));
        assert_eq!(endpoint(&aws, "Lambda").unwrap(), "http://127.0.0.1:2");
        assert_eq!(endpoint(&aws, "Secrets Manager").unwrap(), "http://127.0.0.1:1");
    }

    #[test]
    fn an_endpoint_without_tls_must_be_on_this_machine() {
        for endpoint in
            ["http://127.0.0.1:9000/", "http://[::1]:9000", "http://localhost:9000", "https://vpce-1.example"]
        {
            assert_eq!(usable(endpoint).unwrap(), endpoint.trim_end_matches('/'));
        }
        for endpoint in ["http://10.0.0.5", "http://localhost.example", "ftp://127.0.0.1", "lambda"] {
            assert!(usable(endpoint).is_err(), "{endpoint}");
        }
    }

    #[test]
    fn an_endpoint_is_that_of_the_region() {
        let of = |region: &'static str, fips, dual_stack| {
            let aws = SdkConfig::builder().region(Region::from_static(region));
            endpoint(&aws.use_fips(fips).use_dual_stack(dual_stack).build(), "Lambda").unwrap()
        };
        for (region, fips, dual_stack, expected) in [
            ("us-east-1", false, false, "https://lambda.us-east-1.amazonaws.com"),
            ("us-east-1", true, false, "https://lambda-fips.us-east-1.amazonaws.com"),
            ("eu-west-1", false, true, "https://lambda.eu-west-1.api.aws"),
            ("cn-north-1", false, false, "https://lambda.cn-north-1.amazonaws.com.cn"),
            ("cn-north-1", false, true, "https://lambda.cn-north-1.api.amazonwebservices.com.cn"),
        ] {
            assert_eq!(of(region, fips, dual_stack), expected);
        }
    }
}
