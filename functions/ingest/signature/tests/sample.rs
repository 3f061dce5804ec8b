//! What each provider would send, signed at `NOW`. Made without the code that is tested.

use ed25519_dalek::Signer as _;
use sha1::Sha1;
use sha2::Sha512;

use super::*;

/// A request.
#[derive(Clone)]
pub(super) struct Sample {
    pub(super) headers: Vec<(String, String)>,
    pub(super) query: String,
    pub(super) body: Vec<u8>,
}

fn ed25519(index: u8) -> ed25519_dalek::SigningKey {
    ed25519_dalek::SigningKey::from_bytes(&[7 + index; 32])
}

fn p256(index: u8) -> p256::ecdsa::SigningKey {
    p256::ecdsa::SigningKey::from_slice(&[7 + index; 32]).unwrap()
}

/// A secret for a source of that scheme. Samples are signed with the one at 0.
pub(super) fn secret(scheme: &Scheme, index: u8) -> String {
    match scheme {
        Scheme::Discord => hex::encode(ed25519(index).verifying_key().as_bytes()),
        Scheme::Sendgrid => {
            let head = "3059301306072a8648ce3d020106082a8648ce3d030107034200";
            let point = p256(index).verifying_key().to_sec1_point(false);
            STANDARD.encode([&hex::decode(head).unwrap(), point.as_bytes()].concat())
        }
        _ => format!("whsec_{}", STANDARD.encode([7 + index; 24])),
    }
}

fn mac<M: hmac::Mac + hmac::KeyInit>(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = <M as hmac::KeyInit>::new_from_slice(key).unwrap();
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

/// A request whose body is, or holds, `body`.
pub(super) fn sample(scheme: &Scheme, body: &[u8]) -> Sample {
    let key = secret(scheme, 0).into_bytes();
    let now = NOW.to_string();
    let query = if matches!(scheme, Scheme::Twilio(_) | Scheme::Square(_)) { "a=1&b=%20" } else { "" };
    let body = match scheme {
        Scheme::Linear => {
            json!({ "webhookTimestamp": NOW * 1000 + 5, "body": hex::encode(body) }).to_string().into()
        }
        Scheme::Mailgun => {
            let token = hex::encode([7; 25]);
            let signature = hex::encode(mac::<Hmac<Sha256>>(&key, format!("{now}{token}").as_bytes()));
            let signature = json!({ "timestamp": now, "token": token, "signature": signature });
            format!(r#"{{"signature":{signature},"event-data":"{}"}}"#, hex::encode(body)).into_bytes()
        }
        Scheme::Twilio(_) => format!("To=%2B1&Body={}&Body=", hex::encode(body)).into_bytes(),
        _ => body.to_vec(),
    };
    let dated = |border: &str| [now.as_bytes(), border.as_bytes(), &body].concat();
    let sha256 = |text: &[u8]| mac::<Hmac<Sha256>>(&key, text);
    let own = |header: &str, value: String| vec![(header.to_owned(), value)];
    let timed = |header: &str, value: String, timestamp: &str| {
        vec![(header.to_owned(), value), (timestamp.to_owned(), now.clone())]
    };
    let headers = match scheme {
        Scheme::Stripe => {
            let hex = hex::encode(sha256(&dated(".")));
            own("stripe-signature", format!("t={now},v1={hex},v0={hex}"))
        }
        Scheme::Paddle => {
            own("paddle-signature", format!("ts={now};h1={}", hex::encode(sha256(&dated(":")))))
        }
        Scheme::ConvoyAdvanced => {
            own("x-convoy-signature", format!("t={now},v1={}", hex::encode(sha256(&dated(",")))))
        }
        Scheme::Slack | Scheme::Zoom => {
            let hex = hex::encode(sha256(&[b"v0:", &dated(":")[..]].concat()));
            let slack = ["x-slack-signature", "x-slack-request-timestamp"];
            let zoom = ["x-zm-signature", "x-zm-request-timestamp"];
            let [name, timestamp] = if *scheme == Scheme::Slack { slack } else { zoom };
            timed(name, format!("v0={hex}"), timestamp)
        }
        Scheme::Github | Scheme::Meta => {
            own("x-hub-signature-256", format!("sha256={}", hex::encode(sha256(&body))))
        }
        Scheme::StandardWebhooks => {
            let hmac = STANDARD.encode(mac::<Hmac<Sha256>>(&[7; 24], &[b"msg_1.", &dated(".")[..]].concat()));
            let mut headers = timed("webhook-signature", format!("v1,{hmac}"), "webhook-timestamp");
            headers.extend(own("webhook-id", "msg_1".to_owned()));
            headers
        }
        Scheme::Shopify => own("x-shopify-hmac-sha256", STANDARD.encode(sha256(&body))),
        Scheme::Square(_) => {
            let text = [URL.as_bytes(), b"?", query.as_bytes(), &body].concat();
            own("x-square-hmacsha256-signature", STANDARD.encode(sha256(&text)))
        }
        Scheme::Twilio(_) => {
            let text = String::from_utf8(body.clone()).unwrap();
            let sms = text.strip_prefix("To=%2B1&Body=").unwrap().strip_suffix("&Body=").unwrap();
            let both = if sms.is_empty() { "Body".to_owned() } else { format!("BodyBody{sms}") };
            let text = format!("{URL}?{query}{both}To+1");
            own("x-twilio-signature", STANDARD.encode(mac::<Hmac<Sha1>>(&key, text.as_bytes())))
        }
        Scheme::Discord => {
            let signature = hex::encode(ed25519(0).sign(&dated("")).to_bytes());
            timed("x-signature-ed25519", signature, "x-signature-timestamp")
        }
        Scheme::Sendgrid => {
            let signature: p256::ecdsa::Signature = p256(0).sign(&dated(""));
            let name = "x-twilio-email-event-webhook-signature";
            let signature = STANDARD.encode(signature.to_der());
            timed(name, signature, "x-twilio-email-event-webhook-timestamp")
        }
        Scheme::Linear => own("linear-signature", hex::encode(sha256(&body))),
        Scheme::Gitlab => own("x-gitlab-token", secret(scheme, 0)),
        Scheme::Hmac(_) => {
            let base64 = STANDARD.encode(mac::<Hmac<Sha512>>(&key, &body));
            own("x-signature", format!("sha512={base64}"))
        }
        Scheme::Mailgun => Vec::new(),
    };

    Sample { headers, query: query.to_owned(), body }
}
