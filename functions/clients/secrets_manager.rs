//! Reads a secret of AWS Secrets Manager
//! (<https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html>).
//!
//! A signed request over the shared HTTP client, as an [invocation](super::invoke) is. Each crate of the SDK parses the list of AWS's
//! partitions when its client is made, and this request is made at each start.

use std::time::Duration;

use aws_types::SdkConfig;
use http::header::CONTENT_TYPE;
use jiff::Timestamp;
use reqwest::{Client, StatusCode};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::{
    AwsSigner, Patience,
    aws::{BACKOFF, endpoint},
    aws_signature::Unsigned,
    invoke::causes,
};
use crate::config::ConfigError;

/// At start no caller waits; a refresh has a limit of its own.
const PATIENCE: Patience =
    Patience { attempt: Duration::from_millis(1500), operation: Duration::from_secs(5) };

/// A client for one operation.
#[derive(Debug)]
pub struct SecretsManager {
    http: Client,
    url: String,
    signer: AwsSigner,
    tries: u32,
}

/// Why a secret could not be read. Never contains a value.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The request can't be signed.
    #[error(transparent)]
    Unsigned(#[from] Unsigned),
    /// No answer.
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// No answer within the time limit.
    #[error("no answer in time")]
    Late,
    /// An error of Secrets Manager.
    #[error("{code}: {message}")]
    Refused {
        /// The status.
        status: StatusCode,
        /// The error's name, such as `AccessDeniedException`.
        code: String,
        /// Its explanation.
        message: String,
    },
    /// Neither a secret nor an error.
    #[error("the answer can't be read ({0})")]
    Unreadable(StatusCode),
    /// The secret is binary.
    #[error("binary; a JSON object is wanted")]
    Binary,
}

impl ReadError {
    /// Whether another try may succeed: throttling, 5xx, and answers that are lost or late.
    fn is_temporary(&self) -> bool {
        match self {
            Self::NoAnswer(_) | Self::Late => true,
            Self::Refused { status, code, .. } => status.is_server_error() || code.contains("Throttl"),
            Self::Unreadable(status) => status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS,
            Self::Unsigned(_) | Self::Binary => false,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Secret {
    secret_string: Option<String>,
}

/// An error, whose explanation has a capital letter in some answers, and none in others.
#[derive(Deserialize)]
struct Refusal {
    #[serde(rename = "__type")]
    code: String,
    message: Option<String>,
    #[serde(rename = "Message")]
    capital: Option<String>,
}

impl SecretsManager {
    /// The region's Secrets Manager, or another endpoint where the environment names one.
    ///
    /// # Errors
    /// The endpoint can't be used.
    pub fn new(http: Client, aws: &SdkConfig) -> Result<Self, ConfigError> {
        let url = endpoint(aws, "Secrets Manager")?;
        let tries = aws.retry_config().map_or(1, |retries| retries.max_attempts());
        Ok(Self { http, url, signer: AwsSigner::new(aws), tries })
    }

    /// The text of the secret with that ARN or name.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn secret_string(&self, id: &str) -> Result<String, ReadError> {
        timeout(PATIENCE.operation, self.read(id)).await.unwrap_or(Err(ReadError::Late))
    }

    async fn read(&self, id: &str) -> Result<String, ReadError> {
        let mut bound = BACKOFF;
        for _ in 1..self.tries {
            match self.attempt(id).await {
                Err(error) if error.is_temporary() => {}
                answer => return answer,
            }
            // Full jitter, as the SDK has it.
            let random = u32::from_le_bytes(Uuid::new_v4().into_bytes()[..4].try_into().unwrap_or_default());
            sleep(bound.mul_f64(f64::from(random) / f64::from(u32::MAX))).await;
            bound *= 2;
        }
        self.attempt(id).await
    }

    async fn attempt(&self, id: &str) -> Result<String, ReadError> {
        timeout(PATIENCE.attempt, self.ask(id)).await.unwrap_or(Err(ReadError::Late))
    }

    async fn ask(&self, id: &str) -> Result<String, ReadError> {
        let no_answer = |error: reqwest::Error| ReadError::NoAnswer(causes(error));
        let request = self.http.post(&self.url).header(CONTENT_TYPE, "application/x-amz-json-1.1");
        let request = request.header("x-amz-target", "secretsmanager.GetSecretValue");
        let mut request = request.body(json!({ "SecretId": id }).to_string()).build().map_err(no_answer)?;
        self.signer.sign(&mut request, "secretsmanager", None, Timestamp::now()).await?;
        let response = self.http.execute(request).await.map_err(no_answer)?;
        let status = response.status();
        let body = response.bytes().await.map_err(no_answer)?;
        if status == StatusCode::OK {
            // The parser's own message is not passed on: it may quote a secret.
            let secret: Secret = serde_json::from_slice(&body).map_err(|_| ReadError::Unreadable(status))?;
            return secret.secret_string.ok_or(ReadError::Binary);
        }
        let refusal: Refusal = serde_json::from_slice(&body).map_err(|_| ReadError::Unreadable(status))?;
        let message = refusal.message.or(refusal.capital).unwrap_or_default();
        Err(ReadError::Refused { status, code: refusal.code, message })
    }
}
