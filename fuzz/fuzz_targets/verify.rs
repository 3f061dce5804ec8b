//! A request without the secret, for each scheme: it must not cause a panic, and must be refused.
//!
//! `cargo fuzz run verify --sanitizer none` with [cargo-fuzz](https://rust-fuzz.github.io/book/); the stable toolchain will do.

#![no_main]

use std::{sync::LazyLock, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use driftq_webhooks::ingest::{
    body::Content,
};
use hmac::Hmac;
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use serde_json::json;
use sha2::Sha256;
use url::form_urlencoded;

#[path = "../../functions/webhook-verify/tests/sample.rs"]
mod sample;

use sample::{NAMES, NOW, Sample, named, sample, secret};
use webhook_verify::{ Algorithm, Asked, Encoding, Key, MacFormat, Scheme, Setting, Settings, Signed, challenge, fingerprint, handshake, identity, verify, };

/// Every scheme with a key.
static SCHEMES: LazyLock<Vec<(Scheme, Key)>> = LazyLock::new(|| {
    let with_key = |scheme: Scheme| {
        let key = scheme.key(&secret(&scheme, 0)).expect("a key");
        let Sample { headers, query, body } = sample(&scheme, b"{}");
        let lines = headers.iter().map(|(name, value)| {
            (name.parse::<HeaderName>().expect("a name"), value.parse().expect("a value"))
        });
        let headers = lines.collect();
        let genuine = Signed { headers: &headers, query: Some(&query), body: &body };
        let verified = verify(&scheme, &genuine, std::slice::from_ref(&key), Duration::MAX, NOW);
        assert!(verified.is_ok(), "{scheme} refuses its own sample: {verified:?}");
        (scheme, key)
    };
    Scheme::names().map(named).map(with_key).collect()
});

fuzz_target!(|input: (u8, Vec<(u8, &[u8])>, &str, &[u8], i64)| {
    let (scheme, lines, query, body, now) = input;
    let (scheme, key) = &SCHEMES[usize::from(scheme) % SCHEMES.len()];
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let name: HeaderName = NAMES[usize::from(name) % NAMES.len()].parse().expect("a name");
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(name, value);
        }
    }
    let request = Signed { headers: &headers, query: Some(query), body };
    // The widest window, so that the code after the check of the time is reached as well.
    let verified = verify(scheme, &request, std::slice::from_ref(key), Duration::MAX, now);
    assert!(verified.is_err(), "{scheme} let a stranger in");
    let _ = fingerprint(scheme, &request);
    let content = Content::read(body, Some("payload"));
    let event = content.event().map(|event| event.outline());
    let _ = identity(scheme, &headers, event.as_ref());
    let _ = event.map(|event| handshake(scheme, &event, key));
    let answer = challenge(scheme, &Asked { headers: &headers, query }, Some(key));
    // Anyone gets an answer to Okta's challenge.
    assert!(scheme.name() == "okta" || answer.is_none_or(|answer| answer.status == 403));
});
