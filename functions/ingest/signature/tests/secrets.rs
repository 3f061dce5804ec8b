//! Names and secrets, as they are read at start.

use super::*;

#[test]
fn a_blank_one_is_refused_at_start() {
    for scheme in Scheme::ALL {
        for secret in ["", " ", "\t\n"] {
            assert_eq!(scheme.key(secret).err(), Some(KeyError::Blank), "{scheme}");
        }
    }
    for secret in ["whsec_", "whsec_ "] {
        assert_eq!(Scheme::StandardWebhooks.key(secret).err(), Some(KeyError::Blank));
    }
    for secret in ["whsec_MfKQ9r8GK", "whpk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_whsec_AAAA", "A A="] {
        assert_eq!(Scheme::StandardWebhooks.key(secret).err(), Some(KeyError::NotBase64), "{secret}");
    }
}

#[test]
fn no_keys_verify_nothing_and_several_say_which() {
    for scheme in Scheme::ALL {
        let headers = map(&signed(scheme, b"{}"));
        let request = Signed { headers: &headers, body: b"{}" };
        let [old, new] = ["AAAA", SECRET].map(|secret| scheme.key(secret).unwrap());
        let check = |keys: &[Key]| verify(scheme, &request, keys, TOLERANCE, NOW);
        assert_eq!(check(&[]), Err(Refused::Forged));
        assert_eq!(check(std::slice::from_ref(&old)), Err(Refused::Forged));
        assert_eq!(check(&[old, new]), Ok(Verified { key_index: 1 }));
    }
}

#[test]
fn a_key_is_kept_out_of_logs() {
    assert_eq!(format!("{:?}", Scheme::Stripe.key(SECRET)), "Ok(Key(…))");
}

#[test]
fn schemes_are_known_by_name() {
    for scheme in Scheme::ALL {
        assert_eq!(scheme.to_string().parse(), Ok(scheme));
    }
    let error = "Stripe".parse::<Scheme>().unwrap_err().to_string();
    assert_eq!(error, "there is no scheme \"Stripe\"; known are stripe, github, standard-webhooks");
}
