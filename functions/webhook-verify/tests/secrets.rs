//! Parsing of scheme names and secrets at start.

use super::*;

#[test]
fn a_blank_one_is_refused_at_start() {
    for scheme in ALL.iter() {
        for secret in ["", " ", "\t\n"] {
            assert_eq!(scheme.key(secret).err(), Some(KeyError::Blank), "{scheme}");
        }
    }
    for secret in ["whsec_", "whsec_ ", "whpk_", "whpk_ "] {
        assert_eq!(named("standard-webhooks").key(secret).err(), Some(KeyError::Blank));
    }
}

#[test]
fn what_is_no_secret_of_the_scheme_is_refused_at_start() {
    let refused = |scheme: &Scheme, secret: &str| scheme.key(secret).err();
    for secret in ["whsec_MfKQ9r8GK", "whsec_whsec_AAAA", "A A="] {
        assert_eq!(refused(&named("standard-webhooks"), secret), Some(KeyError::NotBase64), "{secret}");
    }
    let [ed25519, p256] = [&named("discord"), &named("sendgrid")].map(|scheme| secret(scheme, 0));
    // A key of small order, for which anyone can make valid signatures.
    let weak = "01".to_owned() + &"00".repeat(31);
    for secret in ["whsec_AAAA", &ed25519[2..], &format!("{ed25519}00"), &weak, &p256] {
        assert_eq!(refused(&named("discord"), secret), Some(KeyError::NotPublic), "{secret}");
    }
    for secret in ["AAAA", &p256[4..], &ed25519, "-----BEGIN PUBLIC KEY-----"] {
        assert_eq!(refused(&named("sendgrid"), secret), Some(KeyError::NotPublic), "{secret}");
    }
    let pem = secret(&named("sns"), 0);
    let cut = pem.replace("MII", "AII");
    for secret in ["whsec_AAAA", &pem[30..], &cut, &pem.replace("CERTIFICATE", "PUBLIC KEY")] {
        assert_eq!(refused(&named("sns"), secret), Some(KeyError::NotPublic), "{secret}");
    }
    for secret in ["whsec_AAAA", "abc", "zz", "00 11"] {
        assert_eq!(refused(&named("adyen"), secret), Some(KeyError::NotHex), "{secret}");
    }
    for secret in ["whpk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whpk_!"] {
        assert_eq!(refused(&named("standard-webhooks"), secret), Some(KeyError::NotPublic), "{secret}");
    }
}

/// Python's, Go's, C#'s and JavaScript's reference libraries parse these in the same way.
#[test]
fn a_standard_webhooks_secret_is_read_leniently() {
    let scheme = named("standard-webhooks");
    let sample = sample(&scheme, b"{}");
    let request = Signed { headers: &map(&sample.headers), query: Some(""), body: &sample.body };
    let mut pair = sample.clone();
    let text = format!("msg_1.{NOW}.{{}}");
    let ed25519 = ed25519_dalek::SigningKey::from_bytes(&[9; 32]);
    let signature = ed25519_dalek::Signer::sign(&ed25519, text.as_bytes());
    pair.headers[0].1 = format!("v1a,{}", STANDARD.encode(signature.to_bytes()));
    let public = STANDARD.encode(ed25519.verifying_key().as_bytes());
    let by_pair = Signed { headers: &map(&pair.headers), query: Some(""), body: &pair.body };
    let short = STANDARD.encode([7; 32]);
    assert!(short.ends_with("c="), "{short}");
    let mut mac = Hmac::<Sha256>::new_from_slice(&[7; 32]).unwrap();
    mac.update(text.as_bytes());
    let mut of_short = sample.clone();
    of_short.headers[0].1 = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    let by_short = Signed { headers: &map(&of_short.headers), query: Some(""), body: &of_short.body };
    for (secret, request) in [
        (secret(&scheme, 0), &request),
        (secret(&scheme, 0).replace("whsec_", ""), &request),
        (format!("whsec_{short}"), &by_short),
        (format!("whsec_{}", &short[..43]), &by_short),
        // The last character with its unused bits set.
        (format!("whsec_{}d", &short[..42]), &by_short),
        (format!("whpk_{public}"), &by_pair),
        (format!("whpk_{}", &public[..43]), &by_pair),
    ] {
        let key = scheme.key(&secret).unwrap();
        assert!(verify(&scheme, request, &[key], TOLERANCE, NOW).is_ok(), "{secret}");
    }
}

#[test]
fn no_keys_verify_nothing_and_several_say_which() {
    for scheme in ALL.iter() {
        let sample = sample(scheme, b"{}");
        let headers = map(&sample.headers);
        let request = Signed { headers: &headers, query: Some(&sample.query), body: &sample.body };
        let [old, new] = [1, 0].map(|index| scheme.key(&secret(scheme, index)).unwrap());
        let check = |keys: &[Key]| verify(scheme, &request, keys, TOLERANCE, NOW);
        assert_eq!(check(&[]), Err(Refused::Forged));
        assert_eq!(check(std::slice::from_ref(&old)), Err(Refused::Forged));
        assert_eq!(check(&[old, new]), Ok(Verified { key_index: 1 }));
    }
}

#[test]
fn a_key_is_kept_out_of_logs() {
    for scheme in ALL.iter() {
        assert_eq!(format!("{:?}", scheme.key(&secret(scheme, 0))), "Ok(Key(…))");
    }
}

#[test]
fn schemes_are_known_by_name() {
    let names: std::collections::BTreeSet<_> = Scheme::names().collect();
    assert_eq!(names.len(), ALL.len(), "no two share a name");
    for name in names {
        assert_eq!(Scheme::named(name).unwrap().name(), name);
    }
    let error = Scheme::named("Stripe").unwrap_err().to_string();
    assert!(error.starts_with("there is no scheme \"Stripe\"; known are stripe, github, "), "{error}");
}
