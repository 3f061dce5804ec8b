//! What is signed with nothing between its parts, and bodies that hold what they are verified by.

use super::*;

fn at(sample: &mut Sample, header: &str) -> usize {
    sample.headers.iter().position(|(name, _)| name == header).unwrap()
}

#[test]
fn no_digit_moves_between_a_timestamp_and_the_body() {
    for (scheme, header) in [
        (named("discord"), "x-signature-timestamp"),
        (named("sendgrid"), "x-twilio-email-event-webhook-timestamp"),
    ] {
        // To the body, and from the body: the signed text stays the same.
        let mut fewer = sample(&scheme, b"{}");
        let index = at(&mut fewer, header);
        fewer.body.insert(0, fewer.headers[index].1.pop().unwrap() as u8);
        let mut more = sample(&scheme, b"7{}");
        more.headers[index].1.push(more.body.remove(0) as char);
        for moved in [fewer, more] {
            let request = Signed { headers: &map(&moved.headers), query: Some(""), body: &moved.body };
            let keys = [scheme.key(&secret(&scheme, 0)).unwrap()];
            let verified = verify(&scheme, &request, &keys, Duration::MAX, NOW);
            assert_eq!(verified, Err(Refused::Malformed(header)));
        }
    }
}

fn mailgun(change: impl Fn(&mut Value)) -> Result<Verified, Refused> {
    let mut sample = sample(&named("mailgun"), b"");
    let mut body = serde_json::from_slice(&sample.body).unwrap();
    change(&mut body);
    sample.body = body.to_string().into_bytes();
    let request = Signed { headers: &HeaderMap::new(), query: Some(""), body: &sample.body };
    let keys = [named("mailgun").key(&secret(&named("mailgun"), 0)).unwrap()];
    verify(&named("mailgun"), &request, &keys, Duration::MAX, NOW)
}

#[test]
fn a_mailgun_signature_is_for_one_timestamp_and_one_token() {
    assert!(mailgun(|_| {}).is_ok());
    assert!(mailgun(|body| body["event-data"] = json!({ "event": "changed" })).is_ok(), "is not signed");
    let (now, token) = (NOW.to_string(), hex::encode([7; 25]));
    for (timestamp, token) in [
        (json!(now[..9]), json!(format!("0{token}"))),
        (json!(format!("{now}0")), json!(token[1..])),
        (json!(NOW), json!(token)),
        (json!(now), json!("")),
        (json!(now), json!(null)),
    ] {
        let refused = mailgun(|body| {
            body["signature"]["timestamp"] = timestamp.clone();
            body["signature"]["token"] = token.clone();
        });
        assert_eq!(refused, Err(Refused::Body("signature")), "{timestamp} {token}");
    }
    for signature in [json!("00"), json!(null), json!("A".repeat(64))] {
        let refused = mailgun(|body| body["signature"]["signature"] = signature.clone());
        assert_eq!(refused, Err(Refused::Body("signature")), "{signature}");
    }
    assert_eq!(mailgun(|body| body["signature"]["token"] = json!("other")), Err(Refused::Forged));
    for twice in [r#""event-data":{"id":"2"}"#, r#""signature":{}"#] {
        let mut sample = sample(&named("mailgun"), b"");
        sample.body.splice(1..1, format!("{twice},").into_bytes());
        assert_eq!(check(&named("mailgun"), &sample, NOW), Err(Refused::Body("signature")), "{twice}");
    }
    for body in [json!([]), json!({}), json!({ "signature": "x" })] {
        assert_eq!(mailgun(|whole| *whole = body.clone()), Err(Refused::Body("signature")));
    }
}

#[test]
fn the_time_in_linears_body_is_in_milliseconds() {
    let tolerance = named("linear").tolerance();
    let signed_at = |time: Value| {
        let body = json!({ "webhookTimestamp": time }).to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(b"SECRET").unwrap();
        mac.update(body.as_bytes());
        let hex = hex::encode(mac.finalize().into_bytes());
        let headers = map(&[("linear-signature".to_owned(), hex)]);
        let request = Signed { headers: &headers, query: Some(""), body: body.as_bytes() };
        verify(&named("linear"), &request, &[named("linear").key("SECRET").unwrap()], tolerance, NOW)
    };
    for inside in [-60_000, 0, 999, 60_000] {
        assert!(signed_at(json!(NOW * 1000 + inside)).is_ok(), "{inside}");
    }
    for outside in [json!(NOW * 1000 + 60_001), json!(NOW * 1000 - 60_001), json!(NOW), json!(i64::MIN)] {
        assert!(matches!(signed_at(outside.clone()), Err(Refused::OutsideWindow { .. })), "{outside}");
    }
    for other in [json!(NOW.to_string()), json!(1.7e12), json!(u64::MAX), json!(null)] {
        assert_eq!(signed_at(other.clone()), Err(Refused::Body("webhookTimestamp")), "{other}");
    }
}

#[test]
fn an_ed25519_signature_is_the_only_one_of_its_kind() {
    // The same signature with the group's order added to its second half, which lax libraries take.
    let sample = sample(&named("discord"), b"{}");
    let mut bytes = hex::decode(&sample.headers[0].1).unwrap();
    let order = hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").unwrap();
    let mut carry = 0;
    for (byte, add) in bytes[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
    let mut malleable = sample.clone();
    malleable.headers[0].1 = hex::encode(bytes);
    assert!(check(&named("discord"), &sample, NOW).is_ok());
    assert_eq!(check(&named("discord"), &malleable, NOW), Err(Refused::Forged));
}
