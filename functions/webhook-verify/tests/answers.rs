//! Responses to handshakes, and the successes that providers expect.

use http::StatusCode;

use super::*;

fn answered(scheme: Scheme, body: &Value) -> Option<Answer> {
    handshake(&scheme, body, &scheme.key(&secret(&scheme, 0)).unwrap())
}

static NO_HEADERS: LazyLock<HeaderMap> = LazyLock::new(HeaderMap::new);

fn get(query: &str) -> Asked<'_> {
    Asked { headers: &NO_HEADERS, query }
}

fn json_of(answer: Option<Answer>) -> Value {
    let answer = answer.unwrap();
    assert_eq!((answer.status, answer.content_type), (StatusCode::OK, "application/json"));
    serde_json::from_str(&answer.body).unwrap()
}

#[test]
fn slack_gets_its_challenge() {
    let answer = answered(named("slack"), &json!({ "type": "url_verification", "challenge": "3eZbrw" }));
    assert_eq!(answer, Some(Answer::text("3eZbrw")));
    for body in [
        json!({ "type": "event_callback", "challenge": "3eZbrw" }),
        json!({ "type": "url_verification" }),
        json!({ "type": "url_verification", "challenge": 7 }),
        json!([]),
    ] {
        assert_eq!(answered(named("slack"), &body), None);
    }
}

#[test]
fn zoom_gets_its_token_with_the_mac_of_it() {
    let key = named("zoom").key("zoom_secret_token").unwrap();
    let body =
        |token: &str| json!({ "event": "endpoint.url_validation", "payload": { "plainToken": token } });
    let answer = json_of(handshake(&named("zoom"), &body("qgg8vlvZRS6UYooatFL8Aw"), &key));
    let mut mac = Hmac::<Sha256>::new_from_slice(b"zoom_secret_token").unwrap();
    mac.update(b"qgg8vlvZRS6UYooatFL8Aw");
    let encrypted = hex::encode(mac.finalize().into_bytes());
    assert_eq!(answer, json!({ "plainToken": "qgg8vlvZRS6UYooatFL8Aw", "encryptedToken": encrypted }));
    let long = "a".repeat(129);
    for token in ["", "v0:1700000000:{\"event\":\"evil\"}", "a b", "a:b", "ä", &long] {
        assert_eq!(handshake(&named("zoom"), &body(token), &key), None, "{token}");
    }
    let other = json!({ "event": "meeting.started", "payload": { "plainToken": "a" } });
    assert_eq!(handshake(&named("zoom"), &other, &key), None);
}

#[test]
fn discord_gets_a_pong() {
    assert_eq!(json_of(answered(named("discord"), &json!({ "type": 1, "id": "7" }))), json!({ "type": 1 }));
    for body in [json!({ "type": 2 }), json!({ "type": "1" }), json!({}), json!(1)] {
        assert_eq!(answered(named("discord"), &body), None);
    }
}

#[test]
fn meta_gets_its_challenge_if_it_knows_the_token() {
    let token = named("meta").key("my token&more").unwrap();
    let ask = |query: &str| challenge(&named("meta"), &get(query), Some(&token)).unwrap();
    let refused = Answer { status: StatusCode::FORBIDDEN, ..Answer::text("") };
    let right = "hub.mode=subscribe&hub.challenge=1158&hub.verify_token=";
    for token in ["my+token%26more", "my%20token%26more"] {
        assert_eq!(ask(&format!("{right}{token}")), Answer::text("1158"));
    }
    for query in [
        "",
        right,
        &format!("{right}my+token"),
        &format!("{right}my+token%26more+"),
        &format!("{right}my+token%26more&hub.challenge=1159"),
        &format!("{right}my+token%26more&hub.verify_token=my+token%26more"),
        "hub.mode=subscribe&hub.verify_token=my+token%26more",
        "hub.challenge=1158&hub.verify_token=my+token%26more",
        "hub.mode=unsubscribe&hub.challenge=1158&hub.verify_token=my+token%26more",
    ] {
        assert_eq!(ask(query), refused, "{query}");
    }
    assert_eq!(challenge(&named("meta"), &get(&format!("{right}my+token%26more")), None), Some(refused));
}

#[test]
fn okta_gets_its_challenge_back_and_nothing_else() {
    let ask = |values: &[&str]| {
        let lines: Vec<_> = values
            .iter()
            .map(|value| ("x-okta-verification-challenge".to_owned(), (*value).to_owned()))
            .collect();
        challenge(&named("okta"), &Asked { headers: &map(&lines), query: "" }, None)
    };
    assert_eq!(json_of(ask(&["my\"<challenge>"])), json!({ "verification": "my\"<challenge>" }));
    let long = "a".repeat(513);
    for values in [&[][..], &[""], &["a", "b"], &[&long]] {
        assert_eq!(ask(values), Some(Answer::forbidden()), "{values:?}");
    }
}

#[test]
fn nobody_else_shakes_hands() {
    let body = json!({ "type": "url_verification", "challenge": "x", "event": "endpoint.url_validation" });
    for scheme in ALL.iter().filter(|scheme| **scheme != named("slack")) {
        let key = scheme.key(&secret(scheme, 0)).unwrap();
        assert_eq!(handshake(scheme, &body, &key), None, "{scheme}");
        let query = "hub.mode=subscribe&hub.challenge=1158&hub.verify_token=x";
        let asks = ["meta", "okta"].contains(&scheme.name());
        assert_eq!(challenge(scheme, &get(query), Some(&key)).is_some(), asks, "{scheme}");
    }
}

#[test]
fn each_provider_gets_what_it_takes_for_a_success() {
    for scheme in ALL.iter() {
        let (status, body) = match success(scheme) {
            Success::Any => (202, None),
            Success::Ok => (200, None),
            Success::Only(answer) => (answer.status.as_u16(), Some(answer.body)),
        };
        let expected = match scheme.name() {
            "twilio" => (204, Some("")),
            "slack" | "xero" => (200, Some("")),
            "adyen" => (200, Some("[accepted]")),
            "discord" => (200, Some(r#"{"type":5}"#)),
            "zoom" | "mailgun" | "paddle" => (200, None),
            _ => (202, None),
        };
        assert_eq!((status, body.as_deref()), expected, "{scheme}");
    }
}
