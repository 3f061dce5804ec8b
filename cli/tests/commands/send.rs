//! `send --as-event`: an event for `cargo lambda invoke` and `sam local invoke`, signed now.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use local::{config::Config, webhook::Webhook};

use super::{file, webhooks};

#[test]
fn an_event_for_other_tools_is_signed_now() {
    let ended = webhooks(&["send", "stripe.charge.dispute.created", "--as-event", "--new-id"]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let event = ended.json();
    assert_eq!((&event["version"], &event["rawPath"]), (&"2.0".into(), &"/webhooks/stripe".into()));
    let keys = [&event["routeKey"], &event["requestContext"]["routeKey"]];
    assert_eq!(
        keys, ["POST /webhooks/{source}"; 2],
        "as in the template, whose routes the samples are compared with"
    );
    let signature = event["headers"]["stripe-signature"].as_str().unwrap();
    let at: u64 = signature.split(['=', ',']).nth(1).unwrap().parse().unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!(now.abs_diff(at) < 60, "{signature}");
    assert!(event["body"].as_str().unwrap().contains("charge.dispute.created"));
}

/// It is the webhook that would be posted, so new ids and own secrets work in the same way.
#[test]
fn an_event_for_other_tools_has_a_new_id_if_wanted_and_ones_own_secret() {
    let (_folder, own) = file("own.env", "STRIPE_WEBHOOK_SECRET=whsec_of_ones_own\n");
    let event = |more: &[&str]| {
        let args = ["send", "stripe.charge.dispute.created", "--as-event", "--env-file", &own];
        Webhook::from_event(&webhooks(&[&args, more].concat()).json(), false).unwrap()
    };
    let (sample, renewed) = (event(&[]), event(&["--new-id"]));
    assert_eq!(sample.json()["id"], Webhook::sample("stripe.charge.dispute.created").unwrap().json()["id"]);
    assert_ne!(sample.json()["id"], renewed.json()["id"]);
    let signature = sample.header("stripe-signature").unwrap();
    let at: i64 = signature.split(['=', ',']).nth(1).unwrap().parse().unwrap();
    let mut config = Config::shipped().unwrap();
    config.use_secrets(|name| (name == "STRIPE_WEBHOOK_SECRET").then(|| "whsec_of_ones_own".to_owned()));
    let again = sample.clone().signed(&config.source("stripe").unwrap(), Timestamp::from_second(at).unwrap());
    assert_eq!(again.unwrap().header("stripe-signature"), Some(signature));
}

#[test]
fn an_event_goes_to_no_url() {
    let ended =
        webhooks(&["send", "stripe.charge.dispute.created", "--as-event", "--url", "http://127.0.0.1:1"]);
    assert_eq!(ended.code, Some(2));
}
