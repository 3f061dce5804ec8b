//! Signed samples of each provider's requests, signed at `NOW`. Created without the code under test.
//!
//! The tests in `functions/ingest/replay` include this file too, so it uses only what both provide.

use ed25519_dalek::Signer as _;
use sha1::Sha1;
use sha2::Sha512;

use super::*;

/// The time of all signatures.
pub(crate) const NOW: i64 = 1_700_000_000;
/// The URL of all requests.
pub(crate) const URL: &str = "https://hooks.example.com/webhooks/it";

/// Headers about events, other than those in samples.
const OTHERS: [&str; 17] = [
    "content-type",
    "request-id",
    "sentry-hook-resource",
    "x-okta-verification-challenge",
    "idempotency-key",
    "i-twilio-idempotency-token",
    "linear-delivery",
    "svix-id",
    "svix-signature",
    "svix-timestamp",
    "x-github-delivery",
    "x-github-event",
    "x-gitlab-event",
    "x-gitlab-event-uuid",
    "x-id",
    "x-shopify-topic",
    "x-shopify-webhook-id",
];

/// The topic of SNS's samples.
pub(crate) const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:orders";

/// Every header that any scheme reads.
pub(crate) static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let signing = Scheme::names().flat_map(|name| sample(&named(name), b"{}").headers);
    let mut names: Vec<_> = signing.map(|(name, _)| name).chain(OTHERS.map(str::to_owned)).collect();
    names.sort();
    names.dedup();
    names
});

/// The scheme with that name, with the settings of the samples.
pub(crate) fn named(name: &str) -> Scheme {
    let scheme = Scheme::named(name).unwrap();
    let mut settings = Settings::default();
    if scheme.takes(Setting::PublicUrl) {
        settings.public_url = Some(URL.parse().unwrap());
    }
    if scheme.takes(Setting::Topics) {
        settings.topics = vec![TOPIC.parse().unwrap()];
    }
    if scheme.takes(Setting::Header) {
        settings.header = Some(HeaderName::from_static("x-signature"));
        settings.prefix = "sha512=".to_owned();
        settings.mac = MacFormat { algorithm: Algorithm::Sha512, encoding: Encoding::Base64 };
    }
    scheme.with(settings)
}

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) query: String,
    pub(crate) body: Vec<u8>,
}

fn ed25519(index: u8) -> ed25519_dalek::SigningKey {
    ed25519_dalek::SigningKey::from_bytes(&[7 + index; 32])
}

fn p256(index: u8) -> p256::ecdsa::SigningKey {
    p256::ecdsa::SigningKey::from_slice(&[7 + index; 32]).unwrap()
}

/// A secret for a source with that scheme. Samples are signed with the one at index 0.
pub(crate) fn secret(scheme: &Scheme, index: u8) -> String {
    match scheme.name() {
        "discord" => hex::encode(ed25519(index).verifying_key().as_bytes()),
        "sendgrid" => {
            let head = "3059301306072a8648ce3d020106082a8648ce3d030107034200";
            let point = p256(index).verifying_key().to_sec1_point(false);
            STANDARD.encode([&hex::decode(head).unwrap(), point.as_bytes()].concat())
        }
        "adyen" => hex::encode([7 + index; 32]),
        "sns" => [include_str!("../../../local/sign/sns.pem"), include_str!("other.pem")][usize::from(index)]
            .to_owned(),
        _ => format!("whsec_{}", STANDARD.encode([7 + index; 24])),
    }
}

fn mac<M: hmac::Mac + hmac::KeyInit>(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = <M as hmac::KeyInit>::new_from_slice(key).unwrap();
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

/// An Adyen body. All signed content comes before the signature.
fn adyen(key: &[u8], reference: &str) -> Vec<u8> {
    let key = hex::decode(key).unwrap();
    let text = format!("P1:O1:Account:{reference}:1130:EUR:AUTHORISATION:true");
    let signature = STANDARD.encode(mac::<Hmac<Sha256>>(&key, text.as_bytes()));
    format!(
        r#"{{"notificationItems":[{{"NotificationRequestItem":{{"pspReference":"P1","originalReference":"O1","merchantAccountCode":"Account","merchantReference":"{reference}","amount":{{"value":1130,"currency":"EUR"}},"eventCode":"AUTHORISATION","success":"true","additionalData":{{"hmacSignature":"{signature}"}}}}}}]}}"#
    )
    .into_bytes()
}

/// An SNS body. All signed content comes before the signature.
pub(crate) fn sns(message: &str) -> Vec<u8> {
    let time = "2023-11-14T22:13:20.000Z";
    let text = format!(
        "Message\n{message}\nMessageId\nm-1\nTimestamp\n{time}\nTopicArn\n{TOPIC}\nType\nNotification\n"
    );
    let signature = STANDARD.encode(rsa(text.as_bytes()));
    let url = "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem";
    format!(
        r#"{{"Type":"Notification","MessageId":"m-1","TopicArn":"{TOPIC}","Message":{},"Timestamp":"{time}","SignatureVersion":"2","Signature":"{signature}","SigningCertURL":"{url}"}}"#,
        json!(message)
    )
    .into_bytes()
}

/// An RSA signature with the certificate's key.
pub(crate) fn rsa(text: &[u8]) -> Vec<u8> {
    let key =
        ring::signature::RsaKeyPair::from_pkcs8(include_bytes!("../../../local/sign/sns.key.der")).unwrap();
    let mut signature = vec![0; key.public().modulus_len()];
    let random = ring::rand::SystemRandom::new();
    key.sign(&ring::signature::RSA_PKCS1_SHA256, &random, text, &mut signature).unwrap();
    signature
}

/// The query: Twilio signs other bodies through their hash.
fn query(scheme: &Scheme, body: &[u8]) -> String {
    let hash = || hex::encode(<Sha256 as sha2::Digest>::digest(body));
    match scheme.name() {
        "twilio" if body.starts_with(b"{") => format!("a=1&bodySHA256={}", hash()),
        _ if scheme.takes(Setting::PublicUrl) => "a=1&b=%20".to_owned(),
        _ => String::new(),
    }
}

/// The parameters sorted, each pair once.
fn parameters(query: &str, body: &[u8]) -> String {
    if query.contains("bodySHA256") {
        return String::new();
    }
    let mut pairs: Vec<_> = form_urlencoded::parse(body).collect();
    pairs.sort();
    pairs.dedup();
    pairs.iter().map(|(name, value)| format!("{name}{value}")).collect()
}

/// A request whose body is or contains `body`.
pub(crate) fn sample(scheme: &Scheme, body: &[u8]) -> Sample {
    let key = secret(scheme, 0).into_bytes();
    let now = NOW.to_string();
    let query = query(scheme, body);
    let body = match scheme.name() {
        "linear" => {
            json!({ "webhookTimestamp": NOW * 1000 + 5, "body": hex::encode(body) }).to_string().into()
        }
        "mailgun" => {
            let token = hex::encode([7; 25]);
            let signature = hex::encode(mac::<Hmac<Sha256>>(&key, format!("{now}{token}").as_bytes()));
            let signature = json!({ "timestamp": now, "token": token, "signature": signature });
            format!(r#"{{"signature":{signature},"event-data":"{}"}}"#, hex::encode(body)).into_bytes()
        }
        "adyen" => adyen(&key, &hex::encode(body)),
        "sns" => sns(&hex::encode(body)),
        "square" | "hubspot" => json!({ "body": hex::encode(body) }).to_string().into(),
        _ => body.to_vec(),
    };
    let dated = |border: &str| [now.as_bytes(), border.as_bytes(), &body].concat();
    let sha256 = |text: &[u8]| mac::<Hmac<Sha256>>(&key, text);
    let own = |header: &str, value: String| vec![(header.to_owned(), value)];
    let timed = |header: &str, value: String, timestamp: &str| {
        vec![(header.to_owned(), value), (timestamp.to_owned(), now.clone())]
    };
    let headers = match scheme.name() {
        "stripe" => {
            let hex = hex::encode(sha256(&dated(".")));
            own("stripe-signature", format!("t={now},v1={hex},v0={hex}"))
        }
        "paddle" => own("paddle-signature", format!("ts={now};h1={}", hex::encode(sha256(&dated(":"))))),
        "convoy-advanced" => {
            own("x-convoy-signature", format!("t={now},v1={}", hex::encode(sha256(&dated(",")))))
        }
        "slack" | "zoom" => {
            let hex = hex::encode(sha256(&[b"v0:", &dated(":")[..]].concat()));
            let slack = ["x-slack-signature", "x-slack-request-timestamp"];
            let zoom = ["x-zm-signature", "x-zm-request-timestamp"];
            let [name, timestamp] = if scheme.name() == "slack" { slack } else { zoom };
            timed(name, format!("v0={hex}"), timestamp)
        }
        "github" | "meta" => own("x-hub-signature-256", format!("sha256={}", hex::encode(sha256(&body)))),
        "standard-webhooks" => {
            let hmac = STANDARD.encode(mac::<Hmac<Sha256>>(&[7; 24], &[b"msg_1.", &dated(".")[..]].concat()));
            let mut headers = timed("webhook-signature", format!("v1,{hmac}"), "webhook-timestamp");
            headers.extend(own("webhook-id", "msg_1".to_owned()));
            headers
        }
        "shopify" => own("x-shopify-hmac-sha256", STANDARD.encode(sha256(&body))),
        "square" => {
            let text = [URL.as_bytes(), b"?", query.as_bytes(), &body].concat();
            own("x-square-hmacsha256-signature", STANDARD.encode(sha256(&text)))
        }
        "twilio" => {
            let text = format!("{URL}?{query}{}", parameters(&query, &body));
            own("x-twilio-signature", STANDARD.encode(mac::<Hmac<Sha1>>(&key, text.as_bytes())))
        }
        "discord" => {
            let signature = hex::encode(ed25519(0).sign(&dated("")).to_bytes());
            timed("x-signature-ed25519", signature, "x-signature-timestamp")
        }
        "sendgrid" => {
            let signature: p256::ecdsa::Signature = p256(0).sign(&dated(""));
            let name = "x-twilio-email-event-webhook-signature";
            let signature = STANDARD.encode(signature.to_der());
            timed(name, signature, "x-twilio-email-event-webhook-timestamp")
        }
        "intercom" => own("x-hub-signature", format!("sha1={}", hex::encode(mac::<Hmac<Sha1>>(&key, &body)))),
        "vercel" => own("x-vercel-signature", hex::encode(mac::<Hmac<Sha1>>(&key, &body))),
        "typeform" => own("typeform-signature", format!("sha256={}", STANDARD.encode(sha256(&body)))),
        "sentry" => own("sentry-hook-signature", hex::encode(sha256(&body))),
        "xero" => own("x-xero-signature", STANDARD.encode(sha256(&body))),
        "docusign" => own("x-docusign-signature-1", STANDARD.encode(sha256(&body))),
        "calendly" => {
            let hex = hex::encode(sha256(&dated(".")));
            own("calendly-webhook-signature", format!("t={now},v1={hex}"))
        }
        "hubspot" => {
            let text =
                [b"POST", URL.as_bytes(), b"?", query.as_bytes(), &body, now.as_bytes(), b"000"].concat();
            vec![
                ("x-hubspot-signature-v3".to_owned(), STANDARD.encode(sha256(&text))),
                ("x-hubspot-request-timestamp".to_owned(), format!("{now}000")),
            ]
        }
        "zendesk" => {
            let time = "2023-11-14T22:13:20Z";
            let text = [time.as_bytes(), &body].concat();
            vec![
                ("x-zendesk-webhook-signature".to_owned(), STANDARD.encode(sha256(&text))),
                ("x-zendesk-webhook-signature-timestamp".to_owned(), time.to_owned()),
            ]
        }
        "okta" => own("authorization", secret(scheme, 0)),
        "linear" => own("linear-signature", hex::encode(sha256(&body))),
        "gitlab" => own("x-gitlab-token", secret(scheme, 0)),
        "hmac" => {
            let base64 = STANDARD.encode(mac::<Hmac<Sha512>>(&key, &body));
            own("x-signature", format!("sha512={base64}"))
        }
        "mailgun" | "adyen" | "sns" => Vec::new(),
        other => panic!(
            "no sample of {other}: add an arm for it to `sample()` in functions/webhook-verify/tests/sample.rs"
        ),
    };

    Sample { headers, query, body }
}
