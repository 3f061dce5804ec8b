//! `check`: every error with its line, otherwise a summary of the file.

use serde_json::json;

use super::{file, webhooks};

const WRONG: &str = r#"
[sources.stripe]
scheme = "stripe"
secrets = []

[[steps]]
id = "ticket"
on = { source = "strip", type = "*" }
business_key = "{{ event.id | upcase }}"
in_doubt = { policy = "park" }
[steps.call]
url = "https://tickets.example.com/{{ input.nope }}"
"#;

#[test]
fn the_shipped_file_has_no_errors_and_a_summary() {
    let ended = webhooks(&["check"]);
    assert_eq!(ended.code, Some(0));
    ended.says(&[
        "webhooks.toml: no errors, 3 sources and 8 steps",
        "stripe   stripe",
        "open_ticket    stripe charge.dispute.* ▶ POST tickets.example.com",
        "retried for 24h: about 55 tries, pauses up to 1h; in doubt: same-key",
        "email_charge   after file_charge ▶ POST email.example.com",
        "save_order     stripe checkout.session.completed ▶ put orders",
        "consumer  TICKETS_TOKEN",
    ]);
}

#[test]
fn every_error_is_printed_with_its_line_and_fix() {
    let (_folder, path) = file("webhooks.toml", WRONG);
    let ended = webhooks(&["check", &path]);
    assert_eq!(ended.code, Some(1));
    ended.says(&[
        &format!("{path}:4  sources.stripe.secrets\n    empty; nothing could be verified. Write secrets ="),
        &format!("{path}:9  steps.ticket.business_key\n    no filter is named \"upcase\""),
        &format!("{path}:12  steps.ticket.call.url\n    input.nope is not known here; known are"),
        "3 problems\n",
    ]);
}

#[test]
fn machines_get_json() {
    let (_folder, path) = file("webhooks.toml", "colour = 1\n[sources.a\n");
    let ended = webhooks(&["check", "--json", &path]);
    assert_eq!(ended.code, Some(1));
    let problem = json!({ "line": 2, "field": "toml", "message": "unclosed table, expected `]`" });
    assert_eq!(ended.json(), json!({ "file": path, "ok": false, "problems": [problem] }));
    let fine = webhooks(&["check", "--json"]).json();
    assert_eq!(
        (&fine["ok"], &fine["steps"][0]["destination"]),
        (&json!(true), &json!("tickets.example.com"))
    );
}
