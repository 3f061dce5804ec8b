//! DynamoDB without the orchestration of the AWS SDK, for the first try of a write. Preparing, signing and
//! sending a request by the SDK takes more processor time than everything else that is done for a command
//! (`docs/performance.md` has the figures).
//!
//! The SDK remains in charge. Where DynamoDB is, and for which region requests are signed, is read from one
//! of its own requests (`endpoint`). Everything is left to it until it has sent one, and wherever credentials
//! expire. Only two answers are used here: success, and a failed condition. After any other answer, or none,
//! the SDK repeats the write, with the tries and the time that are left.

mod signature;

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use aws_config::SdkConfig;
use aws_sdk_dynamodb::{
    Client as DynamoDb,
    config::{Builder, Credentials, ProvideCredentials as _, timeout::TimeoutConfig},
};
use bytes::Bytes;
use http::{
    HeaderValue, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT},
};
use jiff::Timestamp;
use reqwest::{Method, Request};
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use self::signature::{Parts, Signer};
use super::{
    Patience,
    aws::{BACKOFF, TRIES, retries},
    connector,
    endpoint::Endpoint,
};
use crate::random;

const CONTENT: &str = "application/x-amz-json-1.0";
/// For the table's owner, who may look at what was sent to it.
const AGENT: HeaderValue = HeaderValue::from_static(concat!("driftq-webhooks/", env!("CARGO_PKG_VERSION")));

/// Sends first tries.
#[derive(Debug)]
pub struct Direct {
    http: reqwest::Client,
    patience: Patience,
    signer: Signer,
    endpoint: Arc<OnceLock<Endpoint>>,
    /// Whether there was an answer that only the SDK can deal with, such as that the clock is wrong.
    is_off: AtomicBool,
    clock: fn() -> Timestamp,
}

/// The result of a first try.
#[derive(Debug)]
pub(crate) enum Tried {
    /// The write was applied; the response's body.
    Applied(Bytes),
    /// Its condition did not hold; the response's body.
    Refused(Bytes),
    /// It is left to the SDK: everything, if nothing was sent, or all tries but the first, within this time.
    Left(Option<Duration>),
}

/// An answer, as far as it matters here.
enum Answer {
    Used(Tried),
    /// A problem of this request, or a temporary one.
    Passing,
    /// Every other request would get the same answer.
    Lasting,
}

#[derive(Deserialize)]
struct Problem<'a> {
    #[serde(rename = "__type", borrow)]
    kind: &'a str,
}

impl Direct {
    /// The SDK's client; and first tries without the SDK, unless the credentials have an expiry. Lambda's have
    /// none: Lambda starts another process with newer ones.
    pub async fn beside(
        aws: &SdkConfig,
        http: reqwest::Client,
        patience: Patience,
        clock: fn() -> Timestamp,
    ) -> (DynamoDb, Option<Self>) {
        let Some(credentials) = lasting(aws).await else { return (super::dynamodb(aws, patience), None) };
        let (endpoint, signer) = (Arc::default(), Signer::new(credentials));
        let watched = connector::watched(http.clone(), signer.access_key().to_owned(), Arc::clone(&endpoint));
        let config = aws_sdk_dynamodb::config::Builder::from(aws).timeout_config(patience.timeouts());
        let sdk = DynamoDb::from_conf(config.http_client(watched).build());
        (sdk, Some(Self { http, patience, signer, endpoint, is_off: AtomicBool::new(false), clock }))
    }

    /// Tries a write. `body` is its JSON; none if it can't be written here.
    pub(crate) async fn write(&self, operation: &str, body: impl FnOnce() -> Option<Vec<u8>>) -> Tried {
        let endpoint = self.endpoint.get().filter(|_| !self.is_off.load(Ordering::Relaxed));
        let request = endpoint.and_then(|endpoint| self.request(endpoint, operation, body()?));
        let Some(request) = request else { return Tried::Left(None) };
        let began = Instant::now();
        match self.exchange(request).await {
            Answer::Used(tried) => return tried,
            Answer::Passing => sleep(BACKOFF.mul_f64(random::fraction())).await,
            Answer::Lasting => self.is_off.store(true, Ordering::Relaxed),
        }
        Tried::Left(Some(self.left_since(began)))
    }

    /// The time that is left for a request that began then.
    pub(crate) fn left_since(&self, began: Instant) -> Duration {
        self.patience.operation.saturating_sub(began.elapsed())
    }

    fn request(&self, endpoint: &Endpoint, operation: &str, body: Vec<u8>) -> Option<Request> {
        let target = format!("DynamoDB_20120810.{operation}");
        let parts = Parts { content: CONTENT, target: &target, body: &body };
        let signed = self.signer.sign(endpoint, &parts, (self.clock)());
        let mut request = Request::new(Method::POST, endpoint.url.clone());
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(CONTENT));
        headers.insert(USER_AGENT, AGENT);
        headers.insert("x-amz-target", target.try_into().ok()?);
        headers.insert("x-amz-date", signed.date.try_into().ok()?);
        headers.insert(AUTHORIZATION, signed.authorization.try_into().ok()?);
        if let Some(token) = self.signer.token() {
            let mut token: HeaderValue = token.try_into().ok()?;
            token.set_sensitive(true);
            headers.insert("x-amz-security-token", token);
        }
        *request.timeout_mut() = Some(self.patience.attempt);
        *request.body_mut() = Some(body.into());
        Some(request)
    }

    async fn exchange(&self, request: Request) -> Answer {
        let Ok(response) = self.http.execute(request).await else { return Answer::Passing };
        let status = response.status();
        let Ok(body) = response.bytes().await else { return Answer::Passing };
        if status == StatusCode::OK {
            return Answer::Used(Tried::Applied(body));
        }
        let problem = serde_json::from_slice::<Problem<'_>>(&body);
        match problem.as_ref().map(|problem| problem.kind.rsplit('#').next().unwrap_or_default()) {
            Ok("ConditionalCheckFailedException") if status == StatusCode::BAD_REQUEST => {
                Answer::Used(Tried::Refused(body))
            }
            Ok(
                "ProvisionedThroughputExceededException"
                | "RequestLimitExceeded"
                | "ThrottlingException"
                | "TransactionConflictException"
                | "ValidationException",
            ) => Answer::Passing,
            _ if status.is_client_error() => Answer::Lasting,
            _ => Answer::Passing,
        }
    }
}

async fn lasting(aws: &SdkConfig) -> Option<Credentials> {
    let credentials = aws.credentials_provider()?.provide_credentials().await.ok()?;
    credentials.expiry().is_none().then_some(credentials)
}

/// The SDK's configuration for the tries that are left.
pub(crate) fn other_tries(time: Duration) -> Builder {
    let retries = retries().with_max_attempts(TRIES - 1).with_initial_backoff(BACKOFF * 2);
    let limit = TimeoutConfig::builder().operation_timeout(time).build();
    Builder::new().retry_config(retries).timeout_config(limit)
}
