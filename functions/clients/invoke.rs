//! Asynchronous invocation of one Lambda function
//! (<https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>).
//!
//! One signed request over the shared HTTP client. The SDK's Lambda crate would add a megabyte to the binary; the
//! signer is in the binary anyway, since the SDK's other clients use it.

use std::{net::IpAddr, time::SystemTime};

use aws_sdk_dynamodb::config::{Credentials, ProvideCredentials as _, SharedCredentialsProvider};
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningError, SigningSettings, sign},
    sign::v4,
};
use aws_types::SdkConfig;
use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use url::{Host, Url};

use crate::config::{ConfigError, environment::Lookup};

/// The event. The consumer ignores it.
const EVENT: &str = "{}";

/// Invokes one function.
#[derive(Debug)]
pub struct Invoker {
    http: reqwest::Client,
    url: String,
    region: String,
    credentials: SharedCredentialsProvider,
}

/// Why Lambda did not accept an invocation, or may not have.
#[derive(Debug, thiserror::Error)]
pub enum InvokeError {
    /// There are no credentials.
    #[error("no credentials: {0}")]
    Credentials(String),
    /// The request could not be made or signed.
    #[error("the request can't be signed: {0}")]
    Signing(#[from] SigningError),
    /// No answer.
    #[error("no answer from Lambda: {0}")]
    NoAnswer(String),
    /// Anything but 202.
    #[error("Lambda answered {status} {kind}")]
    Refused {
        /// The status.
        status: u16,
        /// The error's name, such as `TooManyRequestsException`.
        kind: String,
    },
}

impl Invoker {
    /// An invoker of `function`, a name or an ARN in the configured region. `AWS_ENDPOINT_URL_LAMBDA` and
    /// `AWS_ENDPOINT_URL` name another endpoint. Partitions besides `aws` and `aws-cn`, FIPS and dual-stack endpoints need
    /// that.
    ///
    /// # Errors
    /// There is no region or no source of credentials, or the endpoint can't be used.
    pub fn new(
        http: reqwest::Client,
        aws: &SdkConfig,
        function: &str,
        get: Lookup<'_>,
    ) -> Result<Self, ConfigError> {
        let problem = |name: &str, why: &str| {
            ConfigError::one("environment", name, format!("{why}; CONSUMER_FUNCTION needs it"))
        };
        let region = aws.region().ok_or_else(|| problem("AWS_REGION", "missing"))?.to_string();
        let credentials =
            aws.credentials_provider().ok_or_else(|| problem("AWS_ACCESS_KEY_ID", "no credentials"))?;
        let own = get("AWS_ENDPOINT_URL_LAMBDA").filter(|url| !url.trim().is_empty());
        let endpoint = match own.or_else(|| aws.endpoint_url().map(str::to_owned)) {
            Some(url) => usable(&url).map_err(|why| problem("AWS_ENDPOINT_URL_LAMBDA", why))?,
            None => endpoint_of(&region),
        };
        let function = utf8_percent_encode(function, NON_ALPHANUMERIC);
        let url = format!("{endpoint}/2015-03-31/functions/{function}/invocations");
        Ok(Self { http, url, region, credentials })
    }

    /// Invokes the function with `X-Amz-Invocation-Type: Event`. Lambda keeps the event while the function is busy.
    ///
    /// # Errors
    /// See [`InvokeError`]. Without an answer the function may still have been invoked.
    pub async fn invoke(&self, now: Timestamp) -> Result<(), InvokeError> {
        let credentials = self.credentials.provide_credentials().await;
        let credentials = credentials.map_err(|error| InvokeError::Credentials(error.to_string()))?;
        let request = signed(&self.url, &self.region, credentials, now)?;
        let request = request.try_into().map_err(no_answer)?;
        let response = self.http.execute(request).await.map_err(no_answer)?;
        match response.status().as_u16() {
            202 => Ok(()),
            status => {
                let kind = response.headers().get("x-amzn-errortype").and_then(|kind| kind.to_str().ok());
                Err(InvokeError::Refused { status, kind: kind.unwrap_or_default().to_owned() })
            }
        }
    }
}

/// With its causes: reqwest's own message does not say whether it was DNS, TLS or a refusal.
fn no_answer(error: reqwest::Error) -> InvokeError {
    let error = error.without_url();
    let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
    InvokeError::NoAnswer(causes.map(ToString::to_string).collect::<Vec<_>>().join(": "))
}

/// Lambda's own endpoint (<https://docs.aws.amazon.com/general/latest/gr/lambda-service.html>).
fn endpoint_of(region: &str) -> String {
    let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("https://lambda.{region}.{suffix}")
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

/// The request, signed by Signature Version 4. The body is part of what is signed.
fn signed(
    url: &str,
    region: &str,
    credentials: Credentials,
    now: Timestamp,
) -> Result<http::Request<&'static str>, InvokeError> {
    const HEADERS: [(&str, &str); 2] =
        [("content-type", "application/json"), ("x-amz-invocation-type", "Event")];
    let identity = credentials.into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("lambda")
        .time(SystemTime::UNIX_EPOCH + now.duration_since(Timestamp::UNIX_EPOCH).unsigned_abs())
        .settings(SigningSettings::default())
        .build()
        .map_err(|error| InvokeError::Credentials(error.to_string()))?;
    let body = SignableBody::Bytes(EVENT.as_bytes());
    let signable = SignableRequest::new("POST", url, HEADERS.into_iter(), body)?;
    let (instructions, _) = sign(signable, &parameters.into())?.into_parts();
    let request = http::Request::post(url);
    let request = HEADERS.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let mut request = request.body(EVENT).map_err(|error| InvokeError::NoAnswer(error.to_string()))?;
    instructions.apply_to_request_http1x(&mut request);
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(token: Option<&str>) -> http::Request<&'static str> {
        let credentials = Credentials::new(
            "AKIDEXAMPLE",
            "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            token.map(str::to_owned),
            None,
            "test",
        );
        let url = "https://lambda.eu-west-1.amazonaws.com/2015-03-31/functions/consumer/invocations";
        signed(url, "eu-west-1", credentials, "2026-06-01T12:00:00Z".parse().unwrap()).unwrap()
    }

    #[test]
    fn the_request_is_signed_with_its_headers_and_its_token() {
        let request = request(Some("the-token"));
        let header = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("x-amz-invocation-type"), "Event");
        assert_eq!(header("x-amz-date"), "20260601T120000Z");
        assert_eq!(header("x-amz-security-token"), "the-token");
        let signature = header("authorization");
        assert!(
            signature.contains("Credential=AKIDEXAMPLE/20260601/eu-west-1/lambda/aws4_request"),
            "{signature}"
        );
        let fields = "SignedHeaders=content-type;host;x-amz-date;x-amz-invocation-type;x-amz-security-token";
        assert!(signature.contains(fields), "{signature}");
        assert!(request.headers()["x-amz-security-token"].is_sensitive(), "it is not for any log");
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
    fn the_endpoint_is_the_regions() {
        assert_eq!(endpoint_of("us-east-1"), "https://lambda.us-east-1.amazonaws.com");
        assert_eq!(endpoint_of("cn-north-1"), "https://lambda.cn-north-1.amazonaws.com.cn");
    }
}
