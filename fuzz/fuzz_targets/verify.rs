//! A stranger's request at each scheme: never a panic, never let in.
//!
//! `cargo fuzz run verify --sanitizer none` with [cargo-fuzz](https://rust-fuzz.github.io/book/); the stable toolchain will do.

#![no_main]

use std::{sync::LazyLock, time::Duration};

use driftq_webhooks::ingest::{
    body::Content,
    signature::{
        Algorithm, Encoding, HmacSettings, Key, Scheme, Signed, challenge, fingerprint, handshake, identity,
        verify,
    },
};
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 24] = [
    "stripe-signature",
    "x-hub-signature-256",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "svix-id",
    "svix-timestamp",
    "svix-signature",
    "x-slack-signature",
    "x-slack-request-timestamp",
    "x-zm-signature",
    "x-zm-request-timestamp",
    "x-shopify-hmac-sha256",
    "x-twilio-signature",
    "x-square-hmacsha256-signature",
    "x-signature-ed25519",
    "x-signature-timestamp",
    "linear-signature",
    "x-twilio-email-event-webhook-signature",
    "x-twilio-email-event-webhook-timestamp",
    "paddle-signature",
    "x-gitlab-token",
    "x-convoy-signature",
    "x-signature",
];

/// Every scheme with a key. The two public ones are from RFC 8032, test 1, and from SendGrid's library.
static SCHEMES: LazyLock<Vec<(Scheme, Key)>> = LazyLock::new(|| {
    let url = || "https://hooks.example.com/webhooks/it".parse().expect("a URL");
    let settings = HmacSettings {
        header: HeaderName::from_static("x-signature"),
        prefix: "sha512=".to_owned(),
        encoding: Encoding::Base64,
        algorithm: Algorithm::Sha512,
    };
    let others = [Scheme::Twilio(url()), Scheme::Square(url()), Scheme::Hmac(settings)];
    let with_key = |scheme: Scheme| {
        let key = scheme.key(match scheme {
            Scheme::Discord => "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            Scheme::Sendgrid => {
                "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g=="
            }
            _ => "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        });
        (scheme, key.expect("a key"))
    };
    Scheme::PLAIN.into_iter().chain(others).map(with_key).collect()
});

fuzz_target!(|input: (u8, Vec<(u8, &[u8])>, &str, &[u8], i64)| {
    let (scheme, lines, query, body, now) = input;
    let (scheme, key) = &SCHEMES[usize::from(scheme) % SCHEMES.len()];
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(NAMES[usize::from(name) % NAMES.len()], value);
        }
    }
    let request = Signed { headers: &headers, query: Some(query), body };
    // The widest window, so that what lies behind the clock is reached as well.
    let verified = verify(scheme, &request, std::slice::from_ref(key), Duration::MAX, now);
    assert!(verified.is_err(), "{scheme} let a stranger in");
    let _ = fingerprint(scheme, &request);
    let content = Content::read(body, Some("payload"));
    let _ = identity(scheme, &headers, content.event());
    let _ = content.event().map(|event| handshake(scheme, event, key));
    assert!(challenge(scheme, query, Some(key)).is_none_or(|answer| answer.status == 403));
});
