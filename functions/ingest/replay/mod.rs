//! Replays: anyone who has seen one signed webhook can send it again with changes to everything that the signature does not cover. That must be
//! refused, or give the same effects. The fuzz target `replay` tests the same, guided by coverage.

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::Hmac;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use jiff::Timestamp;
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};
use sha2::Sha256;
use url::form_urlencoded;
use webhook_verify::{Algorithm, Encoding, MacFormat, Scheme, Setting, Settings};

use self::{sample::*, tamper::*};
use super::{
    event::Request,
    query::Query,
    request::UnverifiedWebhook,
    route::{self, Origin},
};
use crate::{
    config::{Config, ConfigError},
    trace::Traceparent,
};

#[path = "../../webhook-verify/tests/sample.rs"]
mod sample;
mod tamper;

proptest! {
    #[test]
    fn a_changed_copy_of_a_webhook_makes_no_other_effect(
        name in select(Scheme::names().collect::<Vec<_>>()),
        body in prop_oneof![Just(r#"{"id":"1"}"#.to_owned()), "[a-c]=[a-c%]{0,2}(&[a-c]=[a-c]{0,2}){0,3}", "\\PC{0,20}"],
        changes in vec((0..CHANGES, any::<u8>(), any::<u8>(), vec(any::<u8>(), 0..12)), 1..4),
    ) {
        let genuine = sample(&named(name), body.as_bytes());
        let changed = changes.iter().fold(genuine.clone(), |sample, (kind, a, b, bytes)| {
            tampered(sample, *kind, *a, *b, bytes)
        });
        for config in &CONFIGS[name] {
            assert_no_other_effects(config, &genuine, &changed);
        }
    }
}

/// Each of these changes led to another call before identities were limited to signed names.
#[test]
fn what_was_once_another_effect_is_none_now() {
    let same = |name: &str, body: &[u8], change: &dyn Fn(&mut Sample)| {
        let genuine = sample(&named(name), body);
        let mut changed = genuine.clone();
        change(&mut changed);
        for config in &CONFIGS[name] {
            assert_no_other_effects(config, &genuine, &changed);
        }
    };
    for id in ["1", "2"] {
        same("github", b"{}", &|sample| sample.headers.push(("x-github-delivery".into(), id.into())));
    }
    same("mailgun", b"", &|sample| {
        let mut body: Value = serde_json::from_slice(&sample.body).unwrap();
        body["event-data"] = json!({ "id": "another" });
        sample.body = body.to_string().into();
    });
    same("twilio", b"Body=x&MessageSid=SM1&MessageStatus=sent", &|sample| {
        sample.body = b"Body=x&MessageSid=SM1MessageStatussent".to_vec();
    });
    // A form that is valid JSON as well, from a message that was written for this purpose.
    same("twilio", br#"Body=%22%7D%7B%22x%22%3A%22&To=1"#, &|sample| {
        sample.body = br#"{"x":"To1&Body"}"#.to_vec();
    });
    same("square", b"", &|sample| {
        sample.body.splice(0..0, sample.query.bytes());
        sample.query.clear();
        sample.body.insert(0, b'?');
    });
}
