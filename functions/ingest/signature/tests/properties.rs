//! What no input may do.

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

const NAMES: [&str; 9] = [
    "stripe-signature",
    "x-hub-signature-256",
    "x-github-event",
    "x-github-delivery",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "svix-id",
    "svix-signature",
];

/// Bytes as a stranger would choose them: anything, or nearly right.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let nearly = "(t=|v1=|v1,|sha256=|,|=|\\.| |[0-9]{1,20}|[0-9a-f]{64}|[A-Za-z0-9+/]{43}=){0,8}";
    prop_oneof![vec(any::<u8>(), 0..80), nearly.prop_map(String::into_bytes)]
}

proptest! {
    #[test]
    fn whatever_is_signed_is_verified(scheme in select(&Scheme::ALL[..]), body in vec(any::<u8>(), 0..200)) {
        prop_assert!(check(scheme, &signed(scheme, &body), &body, NOW).is_ok());
    }

    #[test]
    fn a_flipped_bit_in_the_body_is_refused(
        scheme in select(&Scheme::ALL[..]),
        body in vec(any::<u8>(), 1..200),
        place: prop::sample::Index,
        bit in 0..8,
    ) {
        let mut flipped = body.clone();
        flipped[place.index(body.len())] ^= 1u8 << bit;
        prop_assert_eq!(check(scheme, &signed(scheme, &body), &flipped, NOW), Err(Refused::Forged));
    }

    #[test]
    fn a_flipped_bit_in_what_is_signed_or_signs_is_refused(
        (scheme, name) in select(vec![
            (Scheme::Stripe, "stripe-signature"),
            (Scheme::Github, "x-hub-signature-256"),
            (Scheme::StandardWebhooks, "webhook-id"),
            (Scheme::StandardWebhooks, "webhook-timestamp"),
            (Scheme::StandardWebhooks, "webhook-signature"),
        ]),
        body in vec(any::<u8>(), 0..40),
        place: prop::sample::Index,
        bit in 0..8,
    ) {
        let headers = signed(scheme, &body);
        let mut map = map(&headers);
        let mut value = map[name].as_bytes().to_vec();
        // Stripe's v0 is not ours to check, so the signed part ends before it.
        let end = String::from_utf8_lossy(&value).find(",v0").unwrap_or(value.len());
        value[place.index(end)] ^= 1u8 << bit;
        let Ok(flipped) = HeaderValue::from_bytes(&value) else { return Ok(()) };
        map.insert(name, flipped);
        let request = Signed { headers: &map, body: &body };
        prop_assert!(verify(scheme, &request, &[scheme.key(SECRET).unwrap()], TOLERANCE, NOW).is_err());
    }

    #[test]
    fn a_strangers_headers_and_body_are_refused_and_never_panic(
        scheme in select(&Scheme::ALL[..]),
        headers in vec((select(&NAMES[..]), hostile()), 0..8),
        body in vec(any::<u8>(), 0..80),
        now: i64,
        tolerance: u64,
    ) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                map.append(name, value);
            }
        }
        let request = Signed { headers: &map, body: &body };
        let keys = [scheme.key(SECRET).unwrap()];
        prop_assert!(verify(scheme, &request, &keys, Duration::from_secs(tolerance), now).is_err());
        let json = serde_json::from_slice(&body).ok();
        let _ = identity(scheme, &map, json.as_ref());
    }

    #[test]
    fn no_secret_makes_a_key_panic(scheme in select(&Scheme::ALL[..]), secret in "(whsec_)?\\PC{0,40}") {
        let _ = scheme.key(&secret);
    }
}
