//! The ledger: every call that the third party received, and which of them it applied.

use std::collections::BTreeMap;

use axum::http::{self, HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    lambda_api::sigv4::{self, Received},
    sign,
};

/// One call.
#[derive(Debug, Clone)]
pub struct Call {
    /// Its number, from 1, counting every attempt.
    pub number: usize,
    /// When it was received.
    pub at: Timestamp,
    /// Its method.
    pub method: String,
    /// Its path.
    pub path: String,
    /// Its headers; repeated ones joined by commas.
    pub headers: BTreeMap<String, String>,
    /// Its `Idempotency-Key`.
    pub key: Option<String>,
    /// Its body: JSON, or an object of a form's fields, or text.
    pub body: Value,
    /// Its raw body.
    pub bytes: Bytes,
    /// How it was handled.
    pub fate: Fate,
}

/// How a call was handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Not applied, on purpose.
    Refused,
    /// It was applied.
    Applied {
        /// The receipt's id.
        receipt: String,
    },
    /// Its key was known: the first receipt was returned again.
    Deduped {
        /// The first receipt's id.
        receipt: String,
    },
}

impl Call {
    /// Whether it has a valid Standard Webhooks signature by that `whsec_` secret.
    #[must_use]
    pub fn is_signed_with(&self, secret: &str) -> bool {
        let header = |name: &str| self.headers.get(name).map(String::as_str).unwrap_or_default();
        let expected =
            sign::standard_webhook(secret, header("webhook-id"), header("webhook-timestamp"), &self.bytes);
        expected.is_ok_and(|expected| header("webhook-signature").split(' ').any(|each| each == expected))
    }
}

impl Call {
    /// Verifies its AWS signature for the service, by this secret access key.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check_aws_signature(&self, service: &str, secret: &str) -> Result<(), String> {
        let wrong = |error: &dyn std::fmt::Display| error.to_string();
        let method = self.method.parse().map_err(|error: http::method::InvalidMethod| wrong(&error))?;
        let uri = self.path.parse().map_err(|error: http::uri::InvalidUri| wrong(&error))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let name = HeaderName::try_from(name).map_err(|error| wrong(&error))?;
            headers.insert(name, HeaderValue::from_str(value).map_err(|error| wrong(&error))?);
        }
        let received = Received { method: &method, uri: &uri, headers: &headers, body: &self.bytes };
        let host = self.headers.get("host").cloned().unwrap_or_default();
        sigv4::check(received, secret, service, &[host], self.at)
    }
}

/// The third party's ledger.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    calls: Vec<Call>,
}

impl Ledger {
    /// Every call, applied or not, in order.
    #[must_use]
    pub fn attempts(&self) -> &[Call] {
        &self.calls
    }

    /// The calls that were applied: the real effects.
    #[must_use]
    pub fn applied(&self) -> Vec<&Call> {
        self.calls.iter().filter(|call| matches!(call.fate, Fate::Applied { .. })).collect()
    }

    /// The calls that were deduplicated by their key.
    #[must_use]
    pub fn deduped(&self) -> Vec<&Call> {
        self.calls.iter().filter(|call| matches!(call.fate, Fate::Deduped { .. })).collect()
    }

    /// The attempts on a path.
    #[must_use]
    pub fn attempts_on(&self, path: &str) -> Vec<&Call> {
        self.calls.iter().filter(|call| call.path == path).collect()
    }

    /// The calls that were applied on a path.
    #[must_use]
    pub fn applied_on(&self, path: &str) -> Vec<&Call> {
        self.applied().into_iter().filter(|call| call.path == path).collect()
    }

    /// How often each was applied, grouped by this function.
    pub fn applied_by<K: Ord>(&self, name: impl Fn(&Call) -> K) -> BTreeMap<K, usize> {
        let mut counts = BTreeMap::new();
        for call in self.applied() {
            *counts.entry(name(call)).or_default() += 1;
        }
        counts
    }

    /// How often each idempotency key was applied; calls without a key are counted under the empty key.
    #[must_use]
    pub fn applied_by_key(&self) -> BTreeMap<String, usize> {
        self.applied_by(|call| call.key.clone().unwrap_or_default())
    }

    /// The receipt of an earlier call with that key.
    pub(super) fn receipt_of(&self, key: &str) -> Option<&str> {
        self.calls.iter().find_map(|call| match &call.fate {
            Fate::Applied { receipt } if call.key.as_deref() == Some(key) => Some(receipt.as_str()),
            _ => None,
        })
    }

    pub(super) fn add(&mut self, mut call: Call) -> usize {
        call.number = self.calls.len() + 1;
        self.calls.push(call);
        self.calls.len()
    }
}
