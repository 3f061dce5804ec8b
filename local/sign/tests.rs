//! Examples that providers have published.

use toml::toml;

use super::*;

fn signed(source: toml::Table, secret: &str, webhook: Webhook, at: i64) -> Webhook {
    let scheme = Scheme::of(&source.into()).unwrap();
    scheme.sign(secret, webhook, Timestamp::from_second(at).unwrap()).unwrap()
}

fn webhook(body: &'static str) -> Webhook {
    let mut webhook = Webhook::new("any", &serde_json::Value::Null);
    webhook.body = body.as_bytes().into();
    webhook
}

/// The example in GitHub's documentation.
#[test]
fn github() {
    let signed =
        signed(toml! { scheme = "github" }, "It's a Secret to Everybody", webhook("Hello, World!"), 0);
    let expected = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    assert_eq!(signed.header("x-hub-signature-256"), Some(expected));
}

/// The example of the Standard Webhooks specification's libraries.
#[test]
fn standard_webhooks() {
    let webhook = webhook(r#"{"test": 2432232314}"#).with("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek");
    let source = toml! { scheme = "standard-webhooks" };
    let signed = signed(source, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", webhook, 1_614_265_330);
    assert_eq!(signed.header("webhook-signature"), Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
}

/// The example in Slack's documentation.
#[test]
fn slack() {
    let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let secret = "8f742231b10e8888abcd99yyyzzz85a5";
    let signed = signed(toml! { scheme = "slack" }, secret, webhook(body), 1_531_420_618);
    let expected = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
    assert_eq!(signed.header("x-slack-signature"), Some(expected));
}

/// The test of Twilio's libraries.
#[test]
fn twilio() {
    let body =
        "CallSid=CA1234567890ABCDE&Digits=1234&From=%2B14158675309&To=%2B18005551212&Caller=%2B14158675309";
    let source = toml! {
        scheme = "twilio"
        public_url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    };
    let signed = signed(source, "12345", webhook(body), 0);
    assert_eq!(signed.header("x-twilio-signature"), Some("RSOYDt4T1cUTdK1PDd93/VVr8B8="));
}

/// The test of Square's libraries.
#[test]
fn square() {
    let body = r#"{"merchant_id":"MLEFBHHSJGVHD","type":"webhooks.test_notification","event_id":"ac3ac95b-f97d-458c-a6e6-18981597e05f","created_at":"2022-07-13T20:30:59.037339943Z","data":{"type":"webhooks","id":"bc368e64-01aa-407e-b46e-3231809b1129"}}"#;
    let source = toml! {
        scheme = "square"
        public_url = "https://webhook.site/679a4f3a-dcfa-49ee-bac5-9d0edad886b9"
    };
    let signed = signed(source, "Ibxx_5AKakO-3qeNVR61Dw", webhook(body), 0);
    let expected = "GF4YkrJgGBDZ9NIYbNXBnMzqb2HoL4RW/S6vkZ9/2N4=";
    assert_eq!(signed.header("x-square-hmacsha256-signature"), Some(expected));
}

/// The test of Paddle's libraries.
#[test]
fn paddle() {
    let body = webhook(r#"{"data": ["1", "2"]}"#);
    let signed = signed(toml! { scheme = "paddle" }, "VALID_SECRET", body, 1_698_796_800);
    let expected = "ts=1698796800;h1=a300428748dce5c70e4da19bffd60769591ea969c99dea3105d0ec9612cf43f9";
    assert_eq!(signed.header("paddle-signature"), Some(expected));
}

/// The tests of Convoy's own signatures.
#[test]
fn convoy() {
    let body = r#"{"event":"charge.success","amount":1000,"currency":"NGN"}"#;
    let secret = "convoy-webhook-secret";
    let advanced = signed(toml! { scheme = "convoy-advanced" }, secret, webhook(body), 1_700_000_000);
    let expected = "t=1700000000,v1=77b8b9269f25a199846a55a2bd25b3fba151c70fdae60bb1dcd87fbbc943c55c";
    assert_eq!(advanced.header("x-convoy-signature"), Some(expected));
    let simple = toml! {
        scheme = "hmac"
        header = "X-Convoy-Signature"
        encoding = "base64"
    };
    let expected = "JERJt/SMvCcJBgydzcKzqkenj1QEMFeQFcV5+xLe+7Q=";
    assert_eq!(signed(simple, secret, webhook(body), 0).header("x-convoy-signature"), Some(expected));
}
