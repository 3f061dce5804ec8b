//! `send --as-event`: what `cargo lambda invoke` and `sam local invoke` are given, signed now.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use driftq_webhooks::config::environment::Environment;
use jiff::Timestamp;
use local::{config::Config, webhook::Webhook};

use super::{file, webhooks};

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

/// It is what goes to ingest in another way, so ids and secrets are as ever.
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

/// What `cargo lambda watch` and `sam local` are given: all that ingest needs, with the secrets that `send` signs with.
#[test]
fn environments_for_other_tools_have_the_secrets_that_events_are_signed_with() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let read = |file: &str| fs::read_to_string(root.join("events").join(file)).unwrap();
    let text = read("local.env");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let lines = lines.map(|line| line.split_once('=').unwrap());
    let of_cargo: BTreeMap<String, String> =
        lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    assert!(of_cargo.values().all(|value| !value.contains('=')), "cargo lambda can't read such a value");
    let of_sam: BTreeMap<String, BTreeMap<String, String>> =
        serde_json::from_str(&read("sam-local.json")).unwrap();
    let mut config = Config::shipped().unwrap();
    let made_up = config.secrets();
    let sources = config.table()["sources"].to_string();
    for given in [&of_cargo, &of_sam["IngestFunction"]] {
        for (name, value) in made_up.iter().filter(|(name, _)| sources.contains(name.as_str())) {
            assert_eq!(given.get(name), Some(value), "{name}");
        }
        Environment::read(&|name| given.get(name).cloned()).unwrap();
    }
}
