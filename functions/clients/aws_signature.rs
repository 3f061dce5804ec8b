//! Signature Version 4 of a call to an AWS service, by the function's own role
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html>).

use std::time::SystemTime;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::config::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use http::{HeaderName, HeaderValue, header::CONTENT_TYPE};
use jiff::Timestamp;
use reqwest::Request;

/// Signs calls.
#[derive(Debug, Clone)]
pub struct AwsSigner {
    region: Option<String>,
    credentials: Option<SharedCredentialsProvider>,
}

/// Why a call can't be signed, for now.
#[derive(Debug, thiserror::Error)]
#[error("the call can't be signed for AWS: {0}")]
pub(crate) struct Unsigned(String);

impl AwsSigner {
    /// A signer with the function's credentials, and with its region for steps that name none.
    #[must_use]
    pub fn new(aws: &SdkConfig) -> Self {
        Self { region: aws.region().map(ToString::to_string), credentials: aws.credentials_provider() }
    }

    /// Signs a complete request: its content type, its `x-amz-…` headers, and its body.
    ///
    /// # Errors
    /// There are no credentials, or no region.
    pub(crate) async fn sign(
        &self,
        request: &mut Request,
        service: &str,
        region: Option<&str>,
        now: Timestamp,
    ) -> Result<(), Unsigned> {
        let unsigned = |why: &dyn ToString| Unsigned(why.to_string());
        let provider = self.credentials.as_ref().ok_or_else(|| unsigned(&"no credentials"))?;
        let credentials = provider.provide_credentials().await.map_err(|error| unsigned(&error))?;
        let region = region.or(self.region.as_deref()).ok_or_else(|| unsigned(&"no region"))?;
        let identity = credentials.into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name(service)
            .time(SystemTime::UNIX_EPOCH + now.duration_since(Timestamp::UNIX_EPOCH).unsigned_abs())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| unsigned(&error))?;
        let signed = |name: &HeaderName| name == CONTENT_TYPE || name.as_str().starts_with("x-amz-");
        let headers = request.headers().iter().filter(|(name, _)| signed(name));
        let headers = headers.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
        let (method, url) = (request.method().as_str(), request.url().as_str());
        let signable = SignableRequest::new(method, url, headers, SignableBody::Bytes(body));
        let output = sign(signable.map_err(|error| unsigned(&error))?, &parameters.into());
        let (instructions, _) = output.map_err(|error| unsigned(&error))?.into_parts();
        for (name, value) in instructions.headers() {
            let mut value = HeaderValue::from_str(value).map_err(|error| unsigned(&error))?;
            value.set_sensitive(true);
            let name = HeaderName::try_from(name).map_err(|error| unsigned(&error))?;
            request.headers_mut().insert(name, value);
        }
        Ok(())
    }
}
