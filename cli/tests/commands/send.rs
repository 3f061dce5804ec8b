//! `send --as-event`: what `cargo lambda invoke` and `sam local invoke` are given, signed now.

use std::time::{SystemTime, UNIX_EPOCH};

use super::webhooks;

#[test]
fn an_event_for_other_tools_is_signed_now() {
    let ended = webhooks(&["send", "stripe.charge.dispute.created", "--as-event", "--new-id"]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let event = ended.json();
    assert_eq!((&event["version"], &event["rawPath"]), (&"2.0".into(), &"/webhooks/stripe".into()));
    let signature = event["headers"]["stripe-signature"].as_str().unwrap();
    let at: u64 = signature.split(['=', ',']).nth(1).unwrap().parse().unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!(now.abs_diff(at) < 60, "{signature}");
    assert!(event["body"].as_str().unwrap().contains("charge.dispute.created"));
}

#[test]
fn an_event_goes_to_no_url() {
    let ended =
        webhooks(&["send", "stripe.charge.dispute.created", "--as-event", "--url", "http://127.0.0.1:1"]);
    assert_eq!(ended.code, Some(2));
}
