//! A signed request that is sent again, changed by somebody without the secret: it must be refused, or be the same
//! effects.
//!
//! `cargo fuzz run replay --sanitizer none`, as for `verify`. The samples and the changes are those of the unit tests.

#![no_main]

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use driftq_webhooks::{
    config::{Config, ConfigError},
    ingest::{
        event::Request,
        query::Query,
        request::UnverifiedWebhook,
        route::{self, Origin},
    },
    trace::Traceparent,
};
use hmac::Hmac;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use serde_json::json;
use sha2::Sha256;
use url::form_urlencoded;

#[path = "../../functions/webhook-verify/tests/sample.rs"]
mod sample;
#[path = "../../functions/ingest/replay/tamper.rs"]
mod tamper;

use sample::{named, sample as signed};
use tamper::{CONFIGS, assert_no_other_effects, tampered};
use webhook_verify::{Algorithm, Encoding, MacFormat, Scheme, Setting, Settings};

static SCHEMES: LazyLock<Vec<&str>> = LazyLock::new(|| Scheme::names().collect());

fuzz_target!(|input: (u8, &[u8], Vec<(u8, u8, u8, &[u8])>)| {
    let (scheme, body, changes) = input;
    let name = SCHEMES[usize::from(scheme) % SCHEMES.len()];
    let genuine = signed(&named(name), body);
    let changed = changes
        .iter()
        .take(8)
        .fold(genuine.clone(), |sample, (kind, a, b, bytes)| tampered(sample, *kind, *a, *b, bytes));
    for config in &CONFIGS[name] {
        assert_no_other_effects(config, &genuine, &changed);
    }
});
