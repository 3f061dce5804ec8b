//! Properties that hold for every input. `PROPTEST_CASES=1000000` tries that many per property, instead of 256.

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

/// Bytes chosen by an attacker: arbitrary, or almost valid.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let nearly = "(t=|ts=|v1=|h1=|v0=|v1,|v1a,|sha256=|sha512=|,|;|=|\\.| |[0-9]{1,20}|[0-9a-f]{64}\
                  |[0-9a-f]{128}|[A-Za-z0-9+/]{43}=|[A-Za-z0-9+/]{86}==|[A-Za-z0-9+/]{27}=){0,8}";
    prop_oneof![vec(any::<u8>(), 0..80), nearly.prop_map(String::into_bytes)]
}

/// Bodies chosen by an attacker.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let nearly = "(\\{|\\}|\\[|\\]|:|,|\"signature\"|\"timestamp\"|\"token\"|\"webhookTimestamp\"|\"1700000000\"|17\
                  |\"[0-9a-f]{64}\"|&|=|%[0-9A-G]{2}){0,20}";
    prop_oneof![vec(any::<u8>(), 0..80), nearly.prop_map(String::into_bytes)]
}

fn scheme() -> impl Strategy<Value = Scheme> {
    // A missing sample fails here, before proptest would look for the smallest input that fails.
    ALL.iter().for_each(|scheme| drop(sample(scheme, b"{}")));
    select(&ALL[..])
}

/// The length of the body's signed part. Mailgun, Adyen and SNS sign some fields, GitLab and Okta nothing.
fn signed_part(scheme: &Scheme, body: &[u8]) -> usize {
    match scheme.name() {
        "gitlab" | "okta" => 0,
        "sns" => String::from_utf8_lossy(body).find(",\"SignatureVersion").unwrap(),
        "adyen" => String::from_utf8_lossy(body).find(",\"additionalData").unwrap(),
        "mailgun" => String::from_utf8_lossy(body).find(",\"event-data").unwrap(),
        _ => body.len(),
    }
}

proptest! {
    #[test]
    fn whatever_is_signed_is_verified(scheme in scheme(), body in vec(any::<u8>(), 0..200)) {
        prop_assert!(check(&scheme, &sample(&scheme, &body), NOW).is_ok());
    }

    #[test]
    fn a_flipped_bit_in_the_body_is_refused(
        scheme in scheme(),
        body in vec(any::<u8>(), 1..200),
        place: prop::sample::Index,
        bit in 0..8,
    ) {
        let genuine = sample(&scheme, &body);
        let mut flipped = genuine.clone();
        let signed = signed_part(&scheme, &genuine.body);
        prop_assume!(signed > 0);
        flipped.body[place.index(signed)] ^= 1u8 << bit;
        // Twilio signs a form's decoded fields: %2b is the same as %2B.
        let read = |body: &[u8]| form_urlencoded::parse(body).into_owned().collect::<Vec<_>>();
        let by_what_it_says = scheme.name() == "twilio" && !genuine.query.contains("bodySHA256");
        let says_the_same = by_what_it_says && read(&genuine.body) == read(&flipped.body);
        prop_assert_eq!(check(&scheme, &flipped, NOW).is_ok(), says_the_same);
    }

    #[test]
    fn a_flipped_bit_in_what_is_signed_or_signs_is_refused(
        scheme in scheme(),
        body in vec(any::<u8>(), 0..40),
        header: prop::sample::Index,
        place: prop::sample::Index,
        bit in 0..8,
    ) {
        let sample = sample(&scheme, &body);
        prop_assume!(!sample.headers.is_empty());
        let (name, value) = &sample.headers[header.index(sample.headers.len())];
        // Stripe's v0 is not verified, so the signed part ends before it.
        let end = value.find(",v0").unwrap_or(value.len());
        let place = place.index(end);
        // Convoy's v3 is as valid as its v1.
        prop_assume!(scheme.name() != "convoy-advanced" || Some(place) != value.find(",v1=").map(|at| at + 2));
        let mut value = value.clone().into_bytes();
        value[place] ^= 1u8 << bit;
        let Ok(flipped) = HeaderValue::from_bytes(&value) else { return Ok(()) };
        let mut headers = map(&sample.headers);
        headers.insert(name.parse::<HeaderName>().unwrap(), flipped);
        let request = Signed { headers: &headers, query: Some(&sample.query), body: &sample.body };
        let keys = [scheme.key(&secret(&scheme, 0)).unwrap()];
        prop_assert!(verify(&scheme, &request, &keys, TOLERANCE, NOW).is_err());
    }

    #[test]
    fn a_flipped_bit_in_the_query_is_refused_where_it_is_signed(
        scheme in scheme().prop_filter("signs its URL", |it| it.takes(Setting::PublicUrl)),
        place: prop::sample::Index,
        bit in 0..7,
    ) {
        let mut sample = sample(&scheme, b"{}");
        let mut query = sample.query.into_bytes();
        let place = place.index(query.len());
        query[place] ^= 1u8 << bit;
        sample.query = String::from_utf8(query).unwrap();
        prop_assert!(check(&scheme, &sample, NOW).is_err());
    }

    #[test]
    fn a_strangers_request_is_refused_and_never_panics(
        scheme in scheme(),
        headers in vec((select(&sample::NAMES[..]), hostile()), 0..8),
        query in "\\PC{0,40}",
        body in body(),
        now: i64,
        tolerance: u64,
    ) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                map.append(name.parse::<HeaderName>().unwrap(), value);
            }
        }
        let request = Signed { headers: &map, query: Some(&query), body: &body };
        let keys = [scheme.key(&secret(&scheme, 0)).unwrap()];
        prop_assert!(verify(&scheme, &request, &keys, Duration::from_secs(tolerance), now).is_err());
        let _ = fingerprint(&scheme, &request);
        let json: Option<Value> = serde_json::from_slice(&body).ok();
        let _ = identity(&scheme, &map, json.as_ref());
        let _ = json.map(|json| handshake(&scheme, &json, &keys[0]));
        let asked = Asked { headers: &map, query: &query };
        let answer = challenge(&scheme, &asked, keys.first());
        // Okta's challenge is answered for everyone.
        prop_assert!(scheme.name() == "okta" || answer.is_none_or(|answer| answer.status == 403));
    }

    /// Another order, another encoding, a repeated pair, a moved boundary: Twilio's signature stays valid.
    #[test]
    fn all_that_passes_for_one_form_of_twilios_has_one_fingerprint(
        pairs in vec(("[A-Za-z]{1,6}", "[a-z +&=%\u{e4}]{0,6}"), 1..6),
        order in Just((0..6).collect::<Vec<usize>>()).prop_shuffle(),
        twice: prop::sample::Index,
        merged: prop::sample::Index,
    ) {
        let scheme = named("twilio");
        let write = |pairs: &[(String, String)]| {
            form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
        };
        let sorted: Vec<_> = std::collections::BTreeSet::from_iter(pairs).into_iter().collect();
        let text: String = sorted.iter().flat_map(|(name, value)| [name.as_str(), value]).collect();
        let mut mac = Hmac::<sha1::Sha1>::new_from_slice(b"12345").unwrap();
        mac.update(format!("{URL}{text}").as_bytes());
        let headers = map(&[("x-twilio-signature".to_owned(), STANDARD.encode(mac.finalize().into_bytes()))]);
        let key = [scheme.key("12345").unwrap()];
        let mut again: Vec<_> = order.into_iter().filter_map(|index| sorted.get(index).cloned()).collect();
        again.push(sorted[twice.index(sorted.len())].clone());
        let mut moved = sorted.clone();
        let (name, value) = moved.remove(merged.index(sorted.len()));
        let place = merged.index(sorted.len()).saturating_sub(1);
        match moved.get_mut(place).filter(|_| merged.index(sorted.len()) > 0) {
            Some((_, before)) => *before += &format!("{name}{value}"),
            None => moved.insert(0, (format!("{name}{value}"), String::new())),
        }
        let bodies = [write(&sorted), write(&again), write(&moved)];
        let requests = bodies.each_ref().map(|body| Signed { headers: &headers, query: Some(""), body: body.as_bytes() });
        let genuine = fingerprint(&scheme, &requests[0]);
        prop_assert!(verify(&scheme, &requests[0], &key, TOLERANCE, NOW).is_ok());
        prop_assert!(verify(&scheme, &requests[1], &key, TOLERANCE, NOW).is_ok());
        for request in requests {
            let passes = verify(&scheme, &request, &key, TOLERANCE, NOW).is_ok();
            prop_assert!(!passes || fingerprint(&scheme, &request) == genuine);
        }
    }

    #[test]
    fn no_secret_makes_a_key_panic(scheme in scheme(), secret in "(whsec_|whpk_)?(\\PC{0,40}|[0-9a-f]{64})") {
        let _ = scheme.key(&secret);
    }

    #[test]
    fn no_text_makes_a_url_panic(text in "(https?://)?[a-z:@/?#\\[\\]0-9]{0,20}", query in "\\PC{0,20}") {
        if let Ok(url) = text.parse::<PublicUrl>() {
            let _ = url.both_ports_with(&query);
        }
    }
}
