//! The public URL, for schemes that sign it.

use sha1::Sha1;

use super::*;

fn with(url: &str) -> [Scheme; 2] {
    ["twilio", "square"].map(|name| {
        let settings = Settings { public_url: Some(url.parse().unwrap()), ..Settings::default() };
        Scheme::named(name).unwrap().with(settings)
    })
}

fn twilio(url: &str, signed: &str, query: &str, body: &[u8]) -> Result<Verified, Refused> {
    let [scheme, _] = with(url);
    let mut mac = Hmac::<Sha1>::new_from_slice(b"12345").unwrap();
    mac.update(signed.as_bytes());
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    let headers = map(&[("x-twilio-signature".to_owned(), signature)]);
    let request = Signed { headers: &headers, query: Some(query), body };
    verify(&scheme, &request, &[scheme.key("12345").unwrap()], TOLERANCE, NOW)
}

#[test]
fn only_the_configured_url_will_do() {
    for other in ["https://hooks.example.com/webhooks/it/", "http://hooks.example.com/webhooks/it"] {
        for scheme in with(other) {
            assert_eq!(check(&scheme, &sample(&scheme, b"{}"), NOW), Err(Refused::Forged), "{other}");
        }
    }
    for scheme in with(URL) {
        for query in ["", "a=1", "a=1&b= ", "a=1&b=+", "b=%20&a=1"] {
            let other = Sample { query: query.to_owned(), ..sample(&scheme, b"To=1") };
            assert_eq!(check(&scheme, &other, NOW), Err(Refused::Forged), "{query}");
        }
    }
    // A query in the configured URL is ignored.
    for scheme in with(&format!("{URL}?old=1")) {
        assert!(check(&scheme, &sample(&scheme, b"{}"), NOW).is_ok());
    }
}

#[test]
fn twilio_signs_with_a_port_or_without_one() {
    let [plain, port, other] = ["https://x.org/a", "https://x.org:443/a", "https://x.org:8443/a"];
    for (configured, signed, holds) in [
        (plain, plain, true),
        (plain, port, true),
        (port, plain, true),
        (port, port, true),
        (other, plain, true),
        (other, other, true),
        (other, port, false),
        ("http://x.org/a", "http://x.org:80/a", true),
        ("http://x.org/a", "http://x.org:443/a", false),
        ("https://[::1]/a", "https://[::1]:443/a", true),
        ("https://u:1@x.org/a", "https://u:1@x.org:443/a", true),
    ] {
        let expected = if holds { Ok(Verified { key_index: 0 }) } else { Err(Refused::Forged) };
        assert_eq!(twilio(configured, signed, "", b""), expected, "{configured} {signed}");
    }
}

#[test]
fn twilio_sorts_by_bytes_and_takes_a_pair_once() {
    let form = b"b=2&B=1&a=%C3%A4+%2B&b=1&b=2&empty=&%C3%A4=x";
    assert!(twilio(URL, &format!("{URL}B1a\u{e4} +b1b2empty\u{e4}x"), "", form).is_ok());
}

#[test]
fn what_is_no_form_is_bound_by_its_hash() {
    let hash = hex::encode(<Sha256 as sha2::Digest>::digest(b"{}"));
    let query = format!("a=1&bodySHA256={hash}");
    let signed = format!("{URL}?{query}");
    assert!(twilio(URL, &signed, &query, b"{}").is_ok());
    // An empty form would have the same signed text.
    for body in [&b""[..], b"&&", b"{} "] {
        assert_eq!(twilio(URL, &signed, &query, body), Err(Refused::Forged));
    }
    // In the last one, a form's text would follow the hash.
    for query in [format!("{query}&bodySHA256={hash}"), query.replace(&hash, ""), format!("{query}&From=1")] {
        assert_eq!(twilio(URL, &format!("{URL}?{query}"), &query, b"{}"), Err(Refused::Forged));
    }
    assert_eq!(twilio(URL, URL, "", b"{}"), Err(Refused::Forged), "an unbound body");
}

#[test]
fn no_body_of_squares_moves_into_the_query() {
    let [_, square] = with(URL);
    let mut moved = sample(&square, br#"{"a":1}"#);
    let brace = moved.body.remove(0);
    moved.query.push(brace as char);
    assert_eq!(check(&square, &moved, NOW), Err(Refused::Query));
    let mut moved = sample(&square, br#"{"a":1}"#);
    moved.body.insert(0, moved.query.pop().unwrap() as u8);
    assert_eq!(check(&square, &moved, NOW), Err(Refused::Body("object")));
}

#[test]
fn only_a_url_is_one() {
    for text in [
        "",
        "hooks.example.com/it",
        "ftp://x.org/",
        "https://",
        "https://x.org",
        "https://x.org?a=/",
        "https://x.org/#a",
        "https://x.org/ä",
        "https://x.org/a b",
    ] {
        assert!(text.parse::<PublicUrl>().is_err(), "{text}");
    }
}
