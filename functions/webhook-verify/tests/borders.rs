//! Boundaries: signed parts without separators, and bodies that contain their own signature.

use super::*;

fn at(sample: &mut Sample, header: &str) -> usize {
    sample.headers.iter().position(|(name, _)| name == header).unwrap()
}

#[test]
fn no_digit_moves_between_a_timestamp_and_the_body() {
    for (scheme, header) in [
        (named("discord"), "x-signature-timestamp"),
        (named("sendgrid"), "x-twilio-email-event-webhook-timestamp"),
        (named("zendesk"), "x-zendesk-webhook-signature-timestamp"),
    ] {
        // A digit moves to the body, then one from the body: the signed text stays the same.
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

/// RFC 9557 allows times that continue after their `Z`.
#[test]
fn no_time_zone_moves_from_a_body_to_the_timestamp_before_it() {
    let zendesk = named("zendesk");
    let mut moved = sample(&zendesk, b"[Etc/UTC]");
    assert!(check(&zendesk, &moved, NOW).is_ok());
    moved.headers[1].1 += "[Etc/UTC]";
    moved.body.clear();
    let malformed = Err(Refused::Malformed("x-zendesk-webhook-signature-timestamp"));
    assert_eq!(check(&zendesk, &moved, NOW), malformed);
}

/// HubSpot signs its timestamp after the body.
#[test]
fn no_digit_moves_between_a_body_and_the_timestamp_behind_it() {
    let hubspot = named("hubspot");
    let index = 1;
    let mut fewer = sample(&hubspot, b"{}");
    fewer.body.push(fewer.headers[index].1.remove(0) as u8);
    let mut more = sample(&hubspot, b"{}");
    more.headers[index].1.insert(0, more.body.pop().unwrap() as char);
    for moved in [fewer, more] {
        let malformed = Err(Refused::Malformed("x-hubspot-request-timestamp"));
        assert_eq!(check(&hubspot, &moved, NOW), malformed);
    }
}

fn adyen(change: impl Fn(&mut Value)) -> Result<Verified, Refused> {
    let mut sample = sample(&named("adyen"), b"");
    let mut body: Value = serde_json::from_slice(&sample.body).unwrap();
    change(&mut body);
    sample.body = body.to_string().into_bytes();
    check(&named("adyen"), &sample, NOW)
}

#[test]
fn every_item_of_adyens_is_signed_and_reads_in_one_way() {
    let item = |change: &dyn Fn(&mut Value)| {
        adyen(|body| change(&mut body["notificationItems"][0]["NotificationRequestItem"]))
    };
    assert!(item(&|_| {}).is_ok());
    assert!(item(&|item| item["paymentMethod"] = json!("visa")).is_ok(), "is not signed");
    for (field, other) in [
        ("pspReference", json!("P2")),
        ("originalReference", json!("")),
        ("merchantAccountCode", json!("Other")),
        ("merchantReference", json!("2")),
        ("amount", json!({ "value": 1131, "currency": "EUR" })),
        ("eventCode", json!("REFUND")),
        ("success", json!("false")),
    ] {
        assert_eq!(item(&|item| item[field] = other.clone()), Err(Refused::Forged), "{field}");
    }
    let body = Err(Refused::Body("notificationItems"));
    for (field, other) in [
        ("pspReference", json!("P1:O1")),
        ("originalReference", json!("O1:Account")),
        ("originalReference", json!(null)),
        ("merchantAccountCode", json!("A:B")),
        ("amount", json!({ "value": "1130", "currency": "EUR" })),
        ("amount", json!({ "value": 1130, "currency": "EUR:AUTHORISATION" })),
        ("eventCode", json!("")),
        ("success", json!(true)),
    ] {
        assert_eq!(item(&|item| item[field] = other.clone()), body, "{field} {other}");
    }
    let signature = Err(Refused::Body("hmacSignature"));
    for other in [json!({}), json!({ "hmacSignature": "" }), json!({ "hmacSignature": "AAAA" }), json!(null)]
    {
        assert_eq!(item(&|item| item["additionalData"] = other.clone()), signature, "{other}");
    }
    assert_eq!(adyen(|whole| whole["notificationItems"] = json!([])), body);
    // An unsigned item beside a signed one.
    for place in [0, 1] {
        let beside = adyen(|whole| {
            let mut other = whole["notificationItems"][0].clone();
            other["NotificationRequestItem"]["pspReference"] = json!("P2");
            whole["notificationItems"].as_array_mut().unwrap().insert(place, other);
        });
        assert_eq!(beside, Err(Refused::Forged), "{place}");
    }
    let twice = adyen(|whole| *whole = json!([whole]));
    assert_eq!(twice, body);
}

#[test]
fn any_of_docusigns_keys_may_have_signed() {
    let docusign = named("docusign");
    let genuine = sample(&docusign, b"{}");
    let line = genuine.headers[0].1.clone();
    let with = |lines: &[(&str, &str)]| {
        let headers = lines.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        check(&docusign, &Sample { headers, ..genuine.clone() }, NOW)
    };
    let other = STANDARD.encode([0; 32]);
    let (first, last) = ("x-docusign-signature-1", "x-docusign-signature-100");
    assert!(with(&[(first, &other), ("x-docusign-signature-2", &line)]).is_ok());
    assert!(with(&[(last, &line)]).is_ok());
    assert!(with(&[(first, "unreadable"), (last, &line)]).is_ok());
    assert_eq!(with(&[(first, &other)]), Err(Refused::Forged));
    assert_eq!(with(&[(first, &line), (first, &line)]), Err(Refused::Repeated(first)));
    for beyond in ["x-docusign-signature-0", "x-docusign-signature-101", "x-docusign-signature-01"] {
        assert_eq!(with(&[(beyond, &line)]), Err(Refused::Missing(first)), "{beyond}");
    }
}

#[test]
fn a_hubspot_url_is_signed_with_some_of_its_escapes_decoded() {
    let scheme = named("hubspot");
    let signed = |query: &str, text: &str| {
        let text = format!("POST{URL}?{text}[]{NOW}000");
        let mut mac = Hmac::<Sha256>::new_from_slice(secret(&scheme, 0).as_bytes()).unwrap();
        mac.update(text.as_bytes());
        let mut sample = sample(&scheme, b"");
        sample.headers[0].1 = STANDARD.encode(mac.finalize().into_bytes());
        (sample.query, sample.body) = (query.to_owned(), b"[]".to_vec());
        check(&scheme, &sample, NOW)
    };
    let escapes = "%3A%2F%3F%40%21%24%27%28%29%2A%2C%3B";
    assert!(signed(&format!("a={escapes}&b=%20%26"), "a=:/?@!$'()*,;&b=%20%26").is_ok());
    assert!(signed(&escapes.to_lowercase(), ":/?@!$'()*,;").is_ok());
    assert_eq!(signed("a=[", "a=["), Err(Refused::Query));
    let mut sample = sample(&scheme, b"");
    sample.body.insert(0, sample.query.pop().unwrap() as u8);
    assert_eq!(check(&scheme, &sample, NOW), Err(Refused::Body("array")));
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
    // The same signature with the group's order added to its second half, which lenient libraries accept.
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
