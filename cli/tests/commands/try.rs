//! `try`: what a webhook would start, and the requests as they would be made.

use std::time::Duration;

use local::{config::Config, stack::Stack, webhook::Webhook};
use serde_json::{Map, Value, json};

use super::{file, functions, webhooks};

#[test]
fn the_report_has_run_steps_and_requests() {
    let ended = webhooks(&["try", "stripe.charge.dispute.created"]);
    assert_eq!(ended.code, Some(0));
    let effect = "stripe.evt_3SkPqr2eZvKYlo2C0hYt5XwQ:open_ticket:du_1SkPrT2eZvKYlo2CqWn8sLd4";
    ended.says(&[
        "not verified",
        "stripe (stripe)",
        "accepted, and starts 1 effect\n",
        "charge.dispute.created, evt_3SkPqr2eZvKYlo2C0hYt5XwQ\n",
        "run     stripe.evt_3SkPqr2eZvKYlo2C0hYt5XwQ\n",
        "open_ticket: yes\n  business key  du_1SkPrT2eZvKYlo2CqWn8sLd4\n",
        effect,
        "POST https://tickets.example.com/api/tickets\n",
        &format!("idempotency-key: {effect}\n"),
        "authorization: ••• (secret TICKETS_TOKEN)\n",
        "{\"amount\":2599,",
        "charge_card: no, it takes events of billing\n",
        "email_receipt: no, it takes checkout.session.completed\n",
    ]);
}

/// The report must never differ from the calls that are then made.
#[tokio::test]
async fn the_report_matches_the_calls() {
    let stack =
        Stack::builder().must_settle(true).functions(functions().await).config(Config::shipped().unwrap());
    let stack = stack.start().await.unwrap();
    let mut told = Vec::new();
    for sample in ["stripe.charge.dispute.created", "billing.invoice.issued", "github.issues.opened"] {
        stack.deliver(&Webhook::sample(sample).unwrap()).await.unwrap();
        let steps = webhooks(&["try", "--json", sample]).json()["events"][0]["steps"].clone();
        let started = steps.as_array().unwrap().iter().filter(|step| step["starts"] == true).cloned();
        told.extend(started.map(|step| (step["idempotency_key"].clone(), step["request"].clone())));
    }
    stack.run_until_settled(Duration::from_secs(40)).await.unwrap();
    let ledger = stack.third_party.ledger();
    // Two more steps come after the charge, of which nothing is known before it.
    assert_eq!((ledger.attempts().len(), told.len()), (6, 4));
    for (key, request) in &told {
        let call = ledger.attempts().iter().find(|call| *key == json!(call.key)).unwrap();
        assert_eq!(request["method"], call.method);
        assert!(
            request["url"].as_str().unwrap().ends_with(&format!(".example.com{}", call.path)),
            "{request}"
        );
        assert_eq!(body(request), call.body);
        for (name, value) in request["headers"].as_object().unwrap() {
            let varies = ["authorization", "traceparent"].contains(&name.as_str());
            assert!(varies || *value == call.headers[name], "{name}: {value} {:?}", call.headers);
            assert!(call.headers.contains_key(name), "{name}");
        }
    }
    stack.finish().await.unwrap();
}

/// The body in the form in which the ledger has it.
fn body(request: &Value) -> Value {
    let text = request["body"].as_str().unwrap();
    if request["headers"]["content-type"] == "application/json" {
        return serde_json::from_str(text).unwrap();
    }
    let pairs = url::form_urlencoded::parse(text.as_bytes());
    Value::Object(pairs.map(|(name, value)| (name.into_owned(), value.into())).collect::<Map<_, _>>())
}

#[test]
fn a_providers_own_json_needs_a_source_and_perhaps_a_header() {
    let issue = json!({
        "action": "opened",
        "issue": { "number": 7, "title": "T", "html_url": "u", "user": { "login": "l" } },
        "repository": { "full_name": "o/r" },
    });
    let (_folder, path) = file("issue.json", &issue.to_string());
    let alone = webhooks(&["try", &path]);
    assert_eq!(alone.code, Some(2));
    assert!(alone.err.contains("--source"), "{}", alone.err);
    let to =
        ["try", &path, "--source", "github", "--step", "tell_slack", "--header", "x-github-event: issues"];
    let ended = webhooks(&to);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    ended.says(&["event   issues.opened\n", "tell_slack: yes\n", "business key  o/r#7\n", "l opened T u"]);
    assert!(!ended.out.contains("triage_issue:"), "{}", ended.out);
}

#[test]
fn steps_that_do_not_start_have_a_reason() {
    let event = |object: &str| {
        format!(r#"{{"id":"e","type":"charge.dispute.created","data":{{"object":{object}}}}}"#)
    };
    let of = |object: &str| {
        let (_folder, path) = file("event.json", &event(object));
        webhooks(&["try", &path, "--source", "stripe", "--step", "open_ticket"])
    };
    let small = of(r#"{"amount":0}"#);
    assert_eq!(small.code, Some(1), "the step that was asked for is not started");
    small.says(&["starts 0 effects", "open_ticket: no, its when is false: event.data.object.amount > 0\n"]);
    let lacking = of(r#"{"amount":1}"#);
    assert_eq!(lacking.code, Some(1));
    lacking.says(&[
        "refused with 422: steps.open_ticket.business_key: event.data.object.id is missing; no step",
    ]);
}

#[test]
fn input_that_is_not_an_event_is_reported() {
    let of = |event: &str| webhooks(&["try", event, "--config", "tests/providers.toml"]);
    of("zoom.endpoint.url_validation").says(&["a handshake, answered with 200"]);
    of("sns.subscription").says(&["the subscription would be confirmed"]);
    let nobodys = webhooks(&["try", "slack.command"]);
    assert_eq!(nobodys.code, Some(1));
    assert!(nobodys.err.contains("no source named \"slack\": it would be answered 404"), "{}", nobodys.err);
}

#[test]
fn a_wrong_file_is_checked_first() {
    let (_folder, path) = file("webhooks.toml", "colour = 1");
    let ended = webhooks(&["try", "stripe.charge.dispute.created", "--config", &path]);
    assert_eq!(ended.code, Some(1));
    ended.says(&[&format!("{path}:1  colour\n    unknown field")]);
    let unknown = webhooks(&["try", "stripe.charge.dispute.created", "--step", "nope"]);
    assert!(unknown.code == Some(2) && unknown.err.contains("known are open_ticket"), "{}", unknown.err);
}

/// Ingest plans the whole chain, so what a later step lacks refuses the webhook.
#[test]
fn a_field_that_a_later_step_lacks_refuses_the_webhook() {
    let chain = |key: &str| {
        let later = |id: &str, after: &str, key: &str| {
            format!(
                "[[steps]]\nid = '{id}'\nafter = '{after}'\nbusiness_key = '{{{{ {key} }}}}'\n\
                 call = {{ url = 'https://a.example.com/' }}\nin_doubt = {{ policy = 'park' }}\n"
            )
        };
        let shipped = Config::shipped().unwrap().to_string();
        shipped + &later("follow_up", "open_ticket", key) + &later("ask_bank", "charge_card", "event.id")
    };
    let of = |key: &str| {
        let (_folder, path) = file("webhooks.toml", &chain(key));
        webhooks(&["try", "stripe.charge.dispute.created", "--config", &path])
    };
    let fine = of("event.data.object.id");
    assert_eq!(fine.code, Some(0), "{} {}", fine.out, fine.err);
    fine.says(&[
        "starts 1 effect\n",
        "follow_up: later, after open_ticket\n",
        "ask_bank: no, it comes after charge_card",
    ]);
    let lacking = of("event.data.object.nothing");
    assert_eq!(lacking.code, Some(1));
    lacking.says(&["refused with 422: steps.follow_up.business_key: event.data.object.nothing is missing"]);
}
