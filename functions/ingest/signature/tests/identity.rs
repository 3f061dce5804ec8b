//! Which event it is, and which of two sets of headers says so.

use super::*;

fn svix() -> Vec<(String, String)> {
    let rename = |(name, value): (String, String)| (name.replace("webhook-", "svix-"), value);
    signed(Scheme::StandardWebhooks, b"{}").into_iter().map(rename).collect()
}

fn check_both(headers: &[(String, String)]) -> (Result<Verified, Refused>, Option<String>) {
    let event_id = identity(Scheme::StandardWebhooks, &map(headers), None).event_id;
    (check(Scheme::StandardWebhooks, headers, b"{}", NOW), event_id)
}

#[test]
fn either_set_of_headers_will_do_and_so_will_both() {
    let (verified, id) = check_both(&svix());
    assert!(verified.is_ok() && id.as_deref() == Some("msg_1"));
    let both = [signed(Scheme::StandardWebhooks, b"{}"), svix()].concat();
    let (verified, id) = check_both(&both);
    assert!(verified.is_ok() && id.as_deref() == Some("msg_1"));
}

#[test]
fn the_sets_are_never_mixed() {
    let standard = signed(Scheme::StandardWebhooks, b"{}");
    let branded = svix();
    for picks in 1..7 {
        let pick = |index: usize| {
            if picks >> index & 1 == 0 { branded[index].clone() } else { standard[index].clone() }
        };
        let (verified, _) = check_both(&[pick(0), pick(1), pick(2)]);
        assert!(matches!(verified, Err(Refused::Missing(_))), "{picks:03b}");
    }
    // Another id in the other set is neither verified nor used.
    let mut both = [standard, branded].concat();
    both[3].1 = "msg_evil".to_owned();
    let (verified, id) = check_both(&both);
    assert!(verified.is_ok() && id.as_deref() == Some("msg_1"));
    both[0].1 = "msg_evil".to_owned();
    both[3].1 = "msg_1".to_owned();
    assert_eq!(check_both(&both).0, Err(Refused::Forged));
}

#[test]
fn the_event_is_named_where_each_provider_names_it() {
    let event = |scheme: Scheme, body: Value| identity(scheme, &map(&signed(scheme, b"")), Some(&body));
    let named = |id: Option<&str>, authenticated, event_type: &str| Identity {
        event_id: id.map(str::to_owned),
        authenticated,
        event_type: event_type.to_owned(),
    };
    let body = json!({"id": "evt_1", "type": "charge.refunded", "action": "opened"});
    assert_eq!(event(Scheme::Stripe, body.clone()), named(Some("evt_1"), true, "charge.refunded"));
    assert_eq!(event(Scheme::Github, body.clone()), named(Some("72d3162e"), false, "issues.opened"));
    assert_eq!(event(Scheme::StandardWebhooks, body), named(Some("msg_1"), true, "charge.refunded"));

    let other = json!({"id": 7, "type": ["x"], "action": null});
    assert_eq!(event(Scheme::Stripe, other.clone()), named(None, true, ""));
    assert_eq!(event(Scheme::Github, other.clone()), named(Some("72d3162e"), false, "issues"));
    assert_eq!(event(Scheme::StandardWebhooks, other), named(Some("msg_1"), true, ""));
    assert_eq!(identity(Scheme::Github, &HeaderMap::new(), None), named(None, false, ""));
}
