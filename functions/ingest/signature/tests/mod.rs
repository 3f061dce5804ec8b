//! The schemes against vectors that providers published, and against everything else.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use lambda_http::http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use sha2::Sha256;

use super::*;

mod headers;
mod identity;
mod properties;
mod secrets;
mod vectors;

const NOW: i64 = 1_700_000_000;
const TOLERANCE: Duration = Duration::from_secs(300);
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn mac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

/// What the provider would send, signed at `NOW`. Made without the code that is tested.
fn signed(scheme: Scheme, body: &[u8]) -> Vec<(String, String)> {
    let now = NOW.to_string();
    let headers = match scheme {
        Scheme::Stripe => {
            let hex = hex::encode(mac(SECRET.as_bytes(), &[now.as_bytes(), b".", body]));
            vec![("stripe-signature", format!("t={now},v1={hex},v0={hex}"))]
        }
        Scheme::Github => vec![
            ("x-hub-signature-256", format!("sha256={}", hex::encode(mac(SECRET.as_bytes(), &[body])))),
            ("x-github-event", "issues".to_owned()),
            ("x-github-delivery", "72d3162e".to_owned()),
        ],
        Scheme::StandardWebhooks => {
            let key = STANDARD.decode(&SECRET["whsec_".len()..]).unwrap();
            let base64 = STANDARD.encode(mac(&key, &[b"msg_1.", now.as_bytes(), b".", body]));
            vec![
                ("webhook-id", "msg_1".to_owned()),
                ("webhook-timestamp", now),
                ("webhook-signature", format!("v1,{base64}")),
            ]
        }
    };
    headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn map(headers: &[(String, String)]) -> HeaderMap {
    let pair =
        |(name, value): &(String, String)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    let mut map = HeaderMap::new();
    for (name, value) in headers.iter().map(pair) {
        map.append::<HeaderName>(name, value);
    }
    map
}

fn check(scheme: Scheme, headers: &[(String, String)], body: &[u8], now: i64) -> Result<Verified, Refused> {
    let request = Signed { headers: &map(headers), body };
    verify(scheme, &request, &[scheme.key(SECRET).unwrap()], TOLERANCE, now)
}
