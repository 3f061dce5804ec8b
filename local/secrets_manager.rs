//! AWS Secrets Manager, `GetSecretValue` only
//! (<https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html>), behind a fault proxy that counts, delays and
//! replaces responses.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result};
use axum::{Router, extract::State, http::HeaderMap};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::{
    http::Answer,
    proxy::FaultProxy,
    server::{ANY_PORT, Server},
};

/// The ARN of its only secret.
pub const ARN: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:webhooks-AbCdEf";
const NAME: &str = "webhooks";

/// A running Secrets Manager.
#[derive(Debug)]
pub struct SecretsManager {
    /// The fault proxy between it and the functions.
    pub proxy: FaultProxy,
    value: Arc<Mutex<String>>,
    _server: Server,
}

impl SecretsManager {
    /// Starts it, with these names and values in its secret.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(values: &BTreeMap<String, String>) -> Result<Self> {
        let value = Arc::new(Mutex::new(json!(values).to_string()));
        let router = Router::new().fallback(handle).with_state(Arc::clone(&value));
        let server = Server::start(ANY_PORT, router).await.context("the Secrets Manager")?;
        Ok(Self { proxy: FaultProxy::start(&server.url()).await?, value, _server: server })
    }

    /// Replaces the secret's text.
    pub fn put(&self, text: impl Into<String>) {
        *self.value.lock().unwrap_or_else(PoisonError::into_inner) = text.into();
    }

    /// Replaces the names and values in the secret.
    pub fn put_all(&self, values: &BTreeMap<String, String>) {
        self.put(json!(values).to_string());
    }

    /// The number of requests.
    #[must_use]
    pub fn fetches(&self) -> usize {
        self.proxy.seen_where(|seen| seen.is("GetSecretValue")).len()
    }

    /// The environment variables that make the functions use it.
    #[must_use]
    pub fn env(&self) -> Vec<(String, String)> {
        let own = |name: &str, value: String| (name.to_owned(), value);
        vec![own("SECRETS_ARN", ARN.to_owned()), own("AWS_ENDPOINT_URL_SECRETS_MANAGER", self.proxy.url())]
    }
}

async fn handle(State(value): State<Arc<Mutex<String>>>, headers: HeaderMap, body: Bytes) -> Answer {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if header("x-amz-target") != "secretsmanager.GetSecretValue" {
        return failure("UnknownOperationException", "only GetSecretValue is known here");
    }
    if !header("authorization").starts_with("AWS4-HMAC-SHA256 ") {
        return failure("MissingAuthenticationTokenException", "Missing Authentication Token");
    }
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    if asked["SecretId"] != ARN && asked["SecretId"] != NAME {
        return failure("ResourceNotFoundException", "Secrets Manager can't find the specified secret.");
    }
    let value = value.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let secret = json!({
        "ARN": ARN, "Name": NAME, "SecretString": value, "CreatedDate": 1.767_225_6e9,
        "VersionId": "a1b2c3d4-5678-90ab-cdef-EXAMPLE11111", "VersionStages": ["AWSCURRENT"],
    });
    Answer::of_json(200, &secret).with("content-type", "application/x-amz-json-1.1")
}

/// An error in Secrets Manager's format.
#[must_use]
pub fn failure(kind: &str, message: &str) -> Answer {
    let body = json!({ "__type": kind, "Message": message, "message": message });
    Answer::of_json(400, &body).with("content-type", "application/x-amz-json-1.1")
}
