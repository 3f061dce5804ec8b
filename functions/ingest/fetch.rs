//! Ingest's own requests to a provider, for signing certificates and to confirm subscriptions. Only to a [`Location`], which an attacker can't
//! choose; limited in time, size and number.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::StatusCode;
use tokio::sync::Mutex;
use webhook_verify::{Key, Location, Scheme};

/// Time limit: the provider waits for our response meanwhile.
const TIMEOUT: Duration = Duration::from_millis(1500);
/// Size limit: a certificate has two kilobytes.
const MAX_BYTES: usize = 32 * 1024;
/// Certificates kept. SNS changes its certificate about once a year, and has one per region.
const KEPT: usize = 16;
/// Requests per minute and process: forged messages can name any number of certificates that do not exist.
const PER_MINUTE: usize = 10;

/// Sends requests to a provider, and caches its certificates.
#[derive(Debug)]
pub struct Fetch {
    http: reqwest::Client,
    endpoint: Option<String>,
    /// Locked during a request: others that need the same certificate wait, and find it in the cache.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    keys: Vec<(String, Key)>,
    /// The times of the requests during the last minute.
    asked: Vec<Timestamp>,
}

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// It may succeed later.
    #[error("{0} is not available now: {1}")]
    Unavailable(String, String),
    /// There is no such certificate, so the message is forged.
    #[error("there is no certificate at {0}")]
    NoCertificate(String),
}

impl Fetch {
    /// Creates it with this client. `endpoint` is `AWS_ENDPOINT_URL_SNS`, if it is set.
    #[must_use]
    pub fn new(http: reqwest::Client, endpoint: Option<String>) -> Self {
        Self { http, endpoint: endpoint.filter(|url| !url.trim().is_empty()), state: Mutex::default() }
    }

    /// The key of the certificate at this location.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub async fn key(&self, scheme: &Scheme, location: &Location, now: Timestamp) -> Result<Key, FetchError> {
        let url = location.url(self.endpoint.as_deref());
        let mut state = self.state.lock().await;
        if let Some((_, key)) = state.keys.iter().find(|(known, _)| *known == url) {
            return Ok(key.clone());
        }
        let (status, body) = self.ask(&url, &mut state, now).await?;
        // A response that is not a certificate is final; a server failure is not.
        let missing = || FetchError::NoCertificate(url.clone());
        match status {
            StatusCode::OK => {}
            status if status.is_client_error() => return Err(missing()),
            status => return Err(FetchError::Unavailable(url, status.to_string())),
        }
        let pem = String::from_utf8(body).map_err(|_| missing())?;
        let key = scheme.key(&pem).map_err(|_| missing())?;
        if state.keys.len() == KEPT {
            state.keys.remove(0);
        }
        state.keys.push((url, key.clone()));
        Ok(key)
    }

    /// Confirms a subscription.
    ///
    /// # Errors
    /// The request failed.
    pub async fn confirm(&self, location: &Location, now: Timestamp) -> Result<(), FetchError> {
        let url = location.url(self.endpoint.as_deref());
        let mut state = self.state.lock().await;
        match self.ask(&url, &mut state, now).await? {
            (status, _) if status.is_success() => Ok(()),
            // The URL contains a token.
            (status, _) => Err(FetchError::Unavailable("the confirmation".to_owned(), status.to_string())),
        }
    }

    async fn ask(
        &self,
        url: &str,
        state: &mut State,
        now: Timestamp,
    ) -> Result<(StatusCode, Vec<u8>), FetchError> {
        let place = url.split('?').next().unwrap_or_default();
        let unavailable = |why: &str| FetchError::Unavailable(place.to_owned(), why.to_owned());
        state.asked.retain(|then| now.duration_since(*then).abs() < SignedDuration::from_mins(1));
        if state.asked.len() >= PER_MINUTE {
            return Err(unavailable("asked too often"));
        }
        state.asked.push(now);
        let failed = |error: reqwest::Error| unavailable(&error.without_url().to_string());
        let mut response = self.http.get(url).timeout(TIMEOUT).send().await.map_err(failed)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_BYTES {
                return Err(unavailable("the answer is too long"));
            }
        }
        Ok((response.status(), body))
    }
}
