//! The schemes against vectors that providers published, and against everything else.

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use sha2::Sha256;

use super::*;

mod answers;
mod borders;
mod headers;
mod identity;
mod properties;
mod sample;
mod secrets;
mod urls;
mod vectors;

use sample::{Sample, sample, secret};

const NOW: i64 = 1_700_000_000;
const TOLERANCE: Duration = Duration::from_secs(300);
const URL: &str = "https://hooks.example.com/webhooks/it";

/// Every scheme once.
static ALL: LazyLock<Vec<Scheme>> = LazyLock::new(|| {
    let url = || URL.parse().unwrap();
    let settings = HmacSettings {
        header: HeaderName::from_static("x-signature"),
        prefix: "sha512=".to_owned(),
        encoding: Encoding::Base64,
        algorithm: Algorithm::Sha512,
    };
    let others = [Scheme::Twilio(url()), Scheme::Square(url()), Scheme::Hmac(settings)];
    Scheme::PLAIN.into_iter().chain(others).collect()
});

fn map(headers: &[(String, String)]) -> HeaderMap {
    let pair =
        |(name, value): &(String, String)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    let mut map = HeaderMap::new();
    for (name, value) in headers.iter().map(pair) {
        map.append::<HeaderName>(name, value);
    }
    map
}

fn check(scheme: &Scheme, sample: &Sample, now: i64) -> Result<Verified, Refused> {
    let request = Signed { headers: &map(&sample.headers), query: Some(&sample.query), body: &sample.body };
    verify(scheme, &request, &[scheme.key(&secret(scheme, 0)).unwrap()], TOLERANCE, now)
}
