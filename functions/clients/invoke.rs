//! Asynchronous invocation of one Lambda function
//! (<https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>).
//!
//! One signed request over the shared HTTP client. The SDK's Lambda crate would add a megabyte to the binary; the
//! signer is in the binary anyway, since the SDK's other clients use it.

use std::time::SystemTime;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::config::{Credentials, ProvideCredentials as _, SharedCredentialsProvider};
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningError, SigningSettings, sign},
    sign::v4,
};
use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::aws::endpoint;
use crate::config::ConfigError;

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
    /// An invoker of `function`, a name or an ARN in the configured region.
    ///
    /// # Errors
    /// There is no region or no source of credentials, or the endpoint can't be used.
    pub fn new(http: reqwest::Client, aws: &SdkConfig, function: &str) -> Result<Self, ConfigError> {
        let problem = |name: &str, why: &str| {
            ConfigError::one("environment", name, format!("{why}; CONSUMER_FUNCTION needs it"))
        };
        let region = aws.region().ok_or_else(|| problem("AWS_REGION", "missing"))?.to_string();
        let credentials =
            aws.credentials_provider().ok_or_else(|| problem("AWS_ACCESS_KEY_ID", "no credentials"))?;
        let endpoint = endpoint(aws, "Lambda")?;
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

fn no_answer(error: reqwest::Error) -> InvokeError {
    InvokeError::NoAnswer(causes(error))
}

/// An error with its causes: reqwest's own message does not say whether it was DNS, TLS or a refusal.
fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
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
}
