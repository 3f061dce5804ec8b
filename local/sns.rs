//! The part of AWS SNS that a subscriber calls: the signing certificate, and the confirmation of a subscription; behind a fault proxy that counts,
//! delays and replaces requests.

use anyhow::{Context, Result};
use axum::{
    Router,
    http::{StatusCode, Uri},
};

use crate::{
    proxy::FaultProxy,
    server::{ANY_PORT, Server},
};

/// The certificate's path, in the URL that the samples name.
pub const CERTIFICATE: &str = "/SimpleNotificationService-0123456789abcdef.pem";

/// A running SNS.
#[derive(Debug)]
pub struct Sns {
    /// The fault proxy between it and the functions.
    pub proxy: FaultProxy,
    _server: Server,
}

impl Sns {
    /// Starts it.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start() -> Result<Self> {
        let server = Server::start(ANY_PORT, Router::new().fallback(handle)).await.context("SNS")?;
        Ok(Self { proxy: FaultProxy::start(&server.url()).await?, _server: server })
    }

    /// The environment variables that make the functions use it.
    #[must_use]
    pub fn env(&self) -> (String, String) {
        ("AWS_ENDPOINT_URL_SNS".to_owned(), self.proxy.url())
    }
}

async fn handle(uri: Uri) -> (StatusCode, &'static str) {
    match (uri.path(), uri.query()) {
        (CERTIFICATE, None) => (StatusCode::OK, include_str!("sign/sns.pem")),
        ("/", Some(query)) if query.starts_with("Action=ConfirmSubscription&") => {
            (StatusCode::OK, "<ConfirmSubscriptionResponse/>")
        }
        _ => (StatusCode::NOT_FOUND, ""),
    }
}
