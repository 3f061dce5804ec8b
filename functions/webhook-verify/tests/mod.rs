//! Tests of the schemes: vectors that providers have published, and malformed or forged requests.

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use sha2::Sha256;
use url::form_urlencoded;

use super::*;

mod answers;
mod borders;
mod headers;
mod identity;
mod properties;
mod sample;
mod secrets;
mod sns;
mod urls;
mod vectors;

use sample::{NOW, Sample, URL, named, sample, secret};

const TOLERANCE: Duration = Duration::from_secs(300);

/// All schemes.
static ALL: LazyLock<Vec<Scheme>> = LazyLock::new(|| Scheme::names().map(named).collect());

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
