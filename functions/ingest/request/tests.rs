//! Authenticated webhooks: their events, their ids and types, and their runs.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::Hmac;
use http::{HeaderName, Method};
use serde_json::json;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use webhook_verify::Scheme;

use super::*;
use crate::{
    config::Config,
    ingest::{
        document::Document,
        query::Query,
        route::{self, Origin},
    },
    trace::Traceparent,
};

const NOW: i64 = 1_700_000_000;
const URL: &str = "https://hooks.example.com/webhooks/it";

fn config(source: &str) -> Config {
    let step = r#"
        [[steps]]
        id = "do_it"
        on = { source = "it", type = "*" }
        business_key = "{{ KEY }}"
        call = { url = "https://example.com/" }
        in_doubt = { policy = "park" }
    "#;
    let (source, key) = source.split_once("KEY = ").unwrap_or((source, "source"));
    let text = format!("[sources.it]\nsecrets = [\"A\"]\n{source}\n{}", step.replace("KEY", key));
    Config::parse("webhooks.toml", &text).unwrap_or_else(|error| panic!("{error}"))
}

fn hmac<M: hmac::Mac + hmac::KeyInit>(text: &[u8]) -> Vec<u8> {
    let mut mac = <M as hmac::KeyInit>::new_from_slice(b"secret").unwrap();
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

/// A request signed as the scheme's provider does.
fn signed(scheme: &str, body: &[u8], headers: &[(&str, &str)]) -> Request {
    let sha256 = |text: &[u8]| hex::encode(hmac::<Hmac<Sha256>>(text));
    let dated = [format!("v0:{NOW}:").as_bytes(), body].concat();
    let now = NOW.to_string();
    let own = match scheme {
        "slack" => {
            vec![("x-slack-signature", format!("v0={}", sha256(&dated))), ("x-slack-request-timestamp", now)]
        }
        "github" | "meta" => vec![("x-hub-signature-256", format!("sha256={}", sha256(body)))],
        "gitlab" => vec![("x-gitlab-token", "secret".to_owned())],
        "hmac" => vec![("x-signature", sha256(body))],
        "linear" => vec![("linear-signature", sha256(body))],
        "twilio" | "mailgun" => Vec::new(),
        other => panic!("{other}"),
    };
    let own = own.iter().map(|(name, value)| (*name, value.as_str()));
    let lines = own.chain(headers.iter().copied());
    let lines = lines.map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()));
    Request {
        method: Method::POST,
        path: "/webhooks/it".to_owned(),
        headers: lines.collect(),
        query: Query::AsSent(String::new()),
        source_ip: Some("192.0.2.1".parse().unwrap()),
        caller: None,
        body: body.to_vec(),
    }
}

/// A form that Twilio signed with `text` as its parameters.
fn twilio(query: &str, body: &str, text: &str, token: &str) -> Request {
    let signature = STANDARD.encode(hmac::<Hmac<Sha1>>(format!("{URL}{text}").as_bytes()));
    let headers = [("x-twilio-signature", &*signature), ("i-twilio-idempotency-token", token)];
    Request { query: Query::AsSent(query.to_owned()), ..signed("twilio", body.as_bytes(), &headers) }
}

fn verified<'a>(config: &'a Config, request: &'a Request) -> Result<VerifiedWebhook<'a>, NotGenuine> {
    let source = &config.sources["it"];
    let key = source.scheme.key("secret").unwrap();
    UnverifiedWebhook { source, request }.verify(&[key], Timestamp::from_second(NOW).unwrap())
}

/// The runs of an authentic webhook, each with the business key of its effect.
fn routed(config: &Config, request: &Request) -> Result<Vec<(String, String)>, Lacking> {
    let events = verified(config, request).unwrap().events(&config.templates)?;
    let origin = Origin { source: "it", trace: Traceparent::new(), now: Timestamp::UNIX_EPOCH };
    let command = |event| {
        let (run_id, routed) = route::commands(event, config, origin)?;
        Ok((run_id.to_string(), routed[0].effect.business_key().to_owned()))
    };
    events.iter().map(command).collect()
}

fn run(config: &Config, request: &Request) -> String {
    routed(config, request).unwrap().swap_remove(0).0
}

fn lacks(config: &Config, request: &Request) -> String {
    routed(config, request).unwrap_err().to_string()
}

#[test]
fn a_template_that_uses_the_digest_gets_that_of_the_body() {
    let config = config("scheme = \"github\"\nKEY = digest");
    let routed = routed(&config, &signed("github", b"{}", &[])).unwrap();
    assert_eq!(routed[0].1, hex::encode(Sha256::digest(b"{}")));
}

#[test]
fn each_event_of_a_batch_is_a_run_of_its_own() {
    let runs = |scheme: &str, body: &Value| -> Vec<String> {
        let config = config(&format!("scheme = \"{scheme}\""));
        let headers = HeaderMap::new();
        let source = &config.sources["it"];
        let content = Content::json(body);
        let identity = identity_of(source, &headers, &content, Some(body));
        let fingerprint = OnceLock::from("of the whole".to_owned());
        let signed = Signed { headers: &headers, query: None, body: b"" };
        let webhook = VerifiedWebhook {
            source,
            headers: &headers,
            identity,
            handshake: None,
            confirmation: None,
            content,
            batch: source.scheme.batch(body),
            signed,
            fingerprint,
        };
        let events = webhook.events(&config.templates).unwrap();
        let run_id = |event: &VerifiedWebhook<'_>| {
            event.run_id(&config.templates, &event.context(&config.templates)).unwrap()
        };
        events.iter().map(|event| run_id(event).to_string()).collect()
    };
    let body = json!([{ "sg_event_id": "a" }, { "email": "x@example.com" }, { "sg_event_id": "b" }]);
    let digest = hex::encode(Sha256::digest(r#"{"email":"x@example.com"}"#));
    assert_eq!(
        runs("sendgrid", &body),
        ["it.a".to_owned(), format!("it.sha256-{digest}"), "it.b".to_owned()]
    );
    assert!(runs("sendgrid", &json!([])).is_empty());
    assert_eq!(runs("sendgrid", &json!({ "sg_event_id": "c" })), ["it.c"]);
    assert_eq!(runs("zoom", &body).len(), 1, "an array is one event elsewhere");
}

/// Values that the provider changes at a redelivery, such as counters and dates, do not make another run.
#[test]
fn a_batch_that_is_delivered_again_is_the_same_runs() {
    let runs = |source: &str, body: Value| -> Vec<String> {
        let config = config(source);
        let headers = HeaderMap::new();
        let source = &config.sources["it"];
        let content = Content::json(&body);
        let webhook = VerifiedWebhook {
            source,
            headers: &headers,
            identity: identity_of(source, &headers, &content, Some(&body)),
            handshake: None,
            confirmation: None,
            content,
            batch: source.scheme.batch(&body),
            signed: Signed { headers: &headers, query: None, body: b"" },
            fingerprint: OnceLock::new(),
        };
        let events = webhook.events(&config.templates).unwrap();
        let run_id = |event: &VerifiedWebhook<'_>| {
            event.run_id(&config.templates, &event.context(&config.templates)).unwrap()
        };
        events.iter().map(|event| run_id(event).to_string()).collect()
    };
    let hubspot = |attempt: u8| {
        let event = |object: u8| json!({ "eventId": 1, "objectId": object, "attemptNumber": attempt });
        runs(&format!("scheme = \"hubspot\"\npublic_url = \"{URL}\""), json!([event(1), event(2)]))
    };
    assert_eq!(hubspot(0), hubspot(1));
    assert_ne!(hubspot(0)[0], hubspot(0)[1]);
    let xero = |entropy: &str| {
        let events = json!([{ "resourceId": "1" }, { "resourceId": "2" }]);
        runs("scheme = \"xero\"", json!({ "events": events, "entropy": entropy }))
    };
    assert_eq!(xero("a"), xero("b"));
    assert_eq!(xero("a").len(), 2);
    assert!(runs("scheme = \"xero\"", json!({ "events": null })).is_empty(), "intent to receive");
    let adyen = |reason: &str| {
        let item = json!({ "pspReference": "P", "eventCode": "REFUND", "success": "true", "reason": reason });
        runs("scheme = \"adyen\"", json!({ "notificationItems": [{ "NotificationRequestItem": item }] }))
    };
    assert_eq!(adyen("a"), ["it.P.REFUND.true"]);
    assert_eq!(adyen("a"), adyen("b"), "is not signed");
    let okta = json!({ "data": { "events": [{ "uuid": "1" }, { "uuid": "2" }] } });
    let ids = runs("scheme = \"okta\"", okta);
    assert!(ids.len() == 2 && ids.iter().all(|id| id.starts_with("it.sha256-")), "{ids:?}");
}

const COMMAND: &[u8] = b"command=%2Fdeploy&text=to+prod&trigger_id=13345224609";

#[test]
fn a_form_is_there_for_templates() {
    let config = config("scheme = \"slack\"\nKEY = form.command ~ event_type ~ form.text");
    let routed = routed(&config, &signed("slack", COMMAND, &[])).unwrap();
    assert_eq!(routed[0].1, "/deploy/deployto prod", "the type of a command is its name");
}

#[test]
fn a_document_in_a_form_is_the_event_if_the_source_says_so() {
    let body = br#"payload=%7B%22type%22%3A%22block_actions%22%2C%22user%22%3A%7B%22id%22%3A%22U1%22%7D%7D"#;
    let key = "KEY = event.user.id ~ event_type";
    let interactions = config(&format!("scheme = \"slack\"\njson_field = \"payload\"\n{key}"));
    let interaction = signed("slack", body, &[]);
    assert_eq!(routed(&interactions, &interaction).unwrap()[0].1, "U1block_actions");
    // The same source also gets events as plain JSON.
    let event =
        signed("slack", br#"{"event_id":"Ev1","user":{"id":"U2"},"event":{"type":"app_mention"}}"#, &[]);
    assert_eq!(routed(&interactions, &event).unwrap(), [("it.Ev1".to_owned(), "U2app_mention".to_owned())]);
    let unaware = config(&format!("scheme = \"slack\"\n{key}"));
    assert_eq!(
        lacks(&unaware, &interaction),
        "steps.do_it.business_key: event.user.id is missing: the body is a form; use form, or name the field that holds JSON as \
         the source's json_field"
    );
}

#[test]
fn a_body_of_another_kind_is_said_to_be_one() {
    let event = config("scheme = \"github\"\nKEY = event.id");
    let form = config("scheme = \"github\"\nKEY = form.id");
    let lacks = |config, body| lacks(config, &signed("github", body, &[]));
    assert_eq!(lacks(&event, b"\xff"), "steps.do_it.business_key: event.id is missing: the body is not JSON");
    assert_eq!(lacks(&form, b"{}"), "steps.do_it.business_key: form.id is missing: the body is not a form");
    assert_eq!(
        lacks(&form, b"id=1&id=2"),
        "steps.do_it.business_key: form.id is missing: the form has several values for it"
    );
    assert_eq!(lacks(&form, b"a=1"), "steps.do_it.business_key: form.id is missing");
    assert_eq!(lacks(&event, b"{}"), "steps.do_it.business_key: event.id is missing");
}

#[test]
fn a_content_type_is_not_signed_and_decides_nothing() {
    let form = config("scheme = \"slack\"\nKEY = form.text");
    let json = config("scheme = \"github\"\nKEY = event.id");
    let types =
        ["application/json", "application/x-www-form-urlencoded", "text/plain", "multipart/form-data"];
    for headers in types.map(|value| [("content-type", value)]) {
        assert_eq!(routed(&form, &signed("slack", COMMAND, &headers)).unwrap()[0].1, "to prod");
        assert_eq!(routed(&json, &signed("github", br#"{"id":"a=b"}"#, &headers)).unwrap()[0].1, "a=b");
    }
}

#[test]
fn a_form_of_twilios_that_is_sent_again_in_any_way_that_its_signature_takes_is_the_same_run() {
    let config = config(&format!("scheme = \"twilio\"\npublic_url = \"{URL}\""));
    let text = "BodyhiFrom+1MessageSidSM1";
    let first = run(&config, &twilio("", "Body=hi&From=%2B1&MessageSid=SM1", text, "token-1"));
    for body in [
        "MessageSid=SM1&From=%2B1&Body=hi",
        "Body=hi&From=%2B1&MessageSid=SM1&Body=hi",
        "Body=%68i&From=%2b1&MessageSid=SM1",
        "Body=hi&From=%2B1MessageSidSM1",
        "BodyhiFrom%2B1MessageSidSM1=",
    ] {
        let again = run(&config, &twilio("", body, text, "token-2"));
        assert_eq!(again, first, "{body}");
    }
    let other =
        run(&config, &twilio("", "Body=ho&From=%2B1&MessageSid=SM1", "BodyhoFrom+1MessageSidSM1", "token-1"));
    assert_ne!(other, first);
    // Moves the boundary between query and form.
    let query = run(&config, &twilio("a=1", "B=2", "?a=1B2", "token-1"));
    assert_eq!(run(&config, &twilio("a=1B2", "", "?a=1B2", "token-1")), query);
}

#[test]
fn a_twilio_body_that_is_no_form_is_bound_by_the_hash_in_its_query() {
    let config = config(&format!("scheme = \"twilio\"\npublic_url = \"{URL}\""));
    let run = |body: &str| {
        let query = format!("bodySHA256={}", hex::encode(Sha256::digest(body)));
        run(&config, &twilio(&query, body, &format!("?{query}"), "token"))
    };
    assert_eq!(run("{}"), run("{}"));
    assert_ne!(run("{}"), run("{ }"));
}

fn delivery(id: &str) -> [(&str, &str); 1] {
    [("x-github-delivery", id)]
}

#[test]
fn an_event_is_called_as_the_source_says() {
    let config = config(
        "scheme = \"hmac\"\nheader = \"x-signature\"\nevent_id = \"{{ event.no }}\"\n\
         event_type = \"{{ source }}.{{ event.kind }}\"\nKEY = event_id ~ event_type",
    );
    let webhook = signed("hmac", br#"{"no":7,"kind":"paid"}"#, &[]);
    assert_eq!(routed(&config, &webhook).unwrap(), [("it.7".to_owned(), "7it.paid".to_owned())]);
    let lacks = |body| lacks(&config, &signed("hmac", body, &[]));
    assert_eq!(lacks(b"{}"), "sources.it.event_id: event.no is missing");
    assert_eq!(lacks(br#"{"no":"","kind":"paid"}"#), "sources.it.event_id: the name is empty");
    assert!(lacks(b"no=7").starts_with("sources.it.event_id: event.no is missing: the body is a form;"));
}

#[test]
fn a_name_that_is_not_signed_names_no_run() {
    let body = br#"{"id":"1"}"#;
    let digest = format!("it.sha256-{}", hex::encode(Sha256::digest(body)));
    for (event_id, expected) in [
        ("{{ headers['x-github-delivery'] }}", &*digest),
        ("{{ event.id }}-{{ event_id }}", &digest),
        ("{{ event.id }}-{{ event_type }}", &digest),
        ("{{ event.id }}", "it.1"),
    ] {
        let config = config(&format!("scheme = \"github\"\nevent_id = \"{event_id}\""));
        let [one, two] = ["a", "b"].map(|id| signed("github", body, &delivery(id)));
        assert_eq!((&*run(&config, &one), &*run(&config, &two)), (expected, expected), "{event_id}");
    }
    let config = config("scheme = \"gitlab\"\nevent_id = \"{{ event.id }}\"");
    assert_eq!(run(&config, &signed("gitlab", body, &[])), digest, "nothing of GitLab's is signed");
}

#[test]
fn whatever_is_sent_with_a_token_of_mailguns_is_one_run() {
    let mailgun = |id: &str| {
        let (now, token) = (NOW.to_string(), "t".repeat(50));
        let signature = hex::encode(hmac::<Hmac<Sha256>>(format!("{now}{token}").as_bytes()));
        let signature = json!({ "timestamp": now, "token": token, "signature": signature });
        signed(
            "mailgun",
            json!({ "signature": signature, "event-data": { "id": id } }).to_string().as_bytes(),
            &[],
        )
    };
    for event_id in ["", "event_id = \"{{ event['event-data'].id }}\""] {
        let config = config(&format!("scheme = \"mailgun\"\n{event_id}"));
        assert_eq!(run(&config, &mailgun("1")), run(&config, &mailgun("2")), "{event_id}");
    }
}

#[test]
fn a_webhook_of_linears_that_is_sent_again_later_is_the_same_run() {
    let config = config("scheme = \"linear\"");
    let sent = |at: i64, id: &str| {
        let body = format!("{{\"webhookTimestamp\":{at},\"type\":\"Issue\",\"data\":{{\"id\":\"{id}\"}}}}");
        run(&config, &signed("linear", body.as_bytes(), &[("linear-delivery", "one of many")]))
    };
    let now = NOW * 1000;
    assert_eq!(sent(now, "LIN-1"), sent(now - 20_000, "LIN-1"));
    assert_ne!(sent(now, "LIN-1"), sent(now, "LIN-2"));
}

#[test]
fn an_address_that_is_not_allowed_is_refused_once_the_signature_holds() {
    let config = config("scheme = \"github\"\nallow = [\"192.0.2.0/24\", \"2001:db8::1\"]");
    let from = |ip: Option<&str>| {
        let request = Request { source_ip: ip.map(|ip| ip.parse().unwrap()), ..signed("github", b"{}", &[]) };
        verified(&config, &request).map(drop)
    };
    for ip in ["192.0.2.255", "2001:db8::1"] {
        assert_eq!(from(Some(ip)), Ok(()));
    }
    for ip in [Some("198.51.100.1"), Some("2001:db8::2"), None] {
        assert_eq!(from(ip), Err(NotGenuine::Address));
    }
    let mut forged = signed("github", b"{}", &[]);
    (forged.body, forged.source_ip) = (b"{ }".to_vec(), None);
    assert_eq!(verified(&config, &forged).map(drop), Err(webhook_verify::Refused::Forged.into()));
}

/// A document's outline contains everything that identifies an event or asks for a handshake.
#[test]
fn an_outline_says_of_an_event_what_all_of_it_says() {
    let vectors = include_str!("../../webhook-verify/vectors.json");
    let mut vectors: Vec<Value> = serde_json::from_str(vectors).unwrap();
    let inner = r#"{"type":"event_callback","event_id":"Ev1","event":{"type":"app_mention"}}"#;
    vectors.push(json!({ "name": "an event within", "scheme": "slack", "body": inner }));
    let mut compared = 0;
    for vector in &vectors {
        let scheme = vector["scheme"].as_str().and_then(|name| Scheme::named(name).ok());
        let document = vector["body"].as_str().and_then(|body| Document::parse(body.as_bytes()));
        let Some((scheme, document)) = scheme.zip(document) else { continue };
        let text =
            |(name, value): (&String, &Value)| Some((name.parse().ok()?, value.as_str()?.parse().ok()?));
        let headers: HeaderMap =
            vector["headers"].as_object().into_iter().flatten().filter_map(text).collect();
        let key = vector["secret"].as_str().and_then(|secret| scheme.key(secret).ok());
        let said = |body: &Value| {
            let handshake = key.as_ref().and_then(|key| handshake(&scheme, body, key));
            (identity(&scheme, &headers, Some(body)), handshake, scheme.batch(body))
        };
        assert_eq!(said(&document.outline()), said(&document.value()), "{}", vector["name"]);
        compared += 1;
    }
    assert!(compared > 50, "{compared}");
}
