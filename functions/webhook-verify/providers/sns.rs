//! AWS SNS: the body has a `Signature`, RSA over its own fields, by the certificate that `SigningCertURL` names
//! (<https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html>).
//!
//! * **There is no secret.** Anyone with an AWS account can make SNS sign any content, on a topic of their own. So the topics are configured, and
//!   messages of other topics are refused.
//! * **The certificate must be SNS's**: its URL is exactly that of SNS in the topic's own region, and nothing else is fetched.
//! * **Only some fields are signed**: not the message's attributes, and none of the URLs in a notification. The others are removed from `event`.
//! * The fields are signed as lines, and a message may contain line breaks itself. No other field may, so the text is
//!   unambiguous.
//!
//! A subscription is confirmed once its confirmation request is verified. A redelivery has the same `MessageId`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value};

use crate::{
    Identity, Refused, Signed, Verified,
    certificate::Hash,
    header::Window,
    json,
    key::Key,
    location::{Location, Topic},
    provider::Provider,
    settings::{Setting, Settings},
    text,
};

pub(super) static PROVIDER: Provider = Provider {
    signed: &["event_id", "event_type", "event", "digest"],
    settings: &[Setting::Topics],
    // SNS retries for at most one hour, whatever the policy.
    tolerance: 2 * 3600,
    key: |_, pem| Key::rsa_from_certificate(pem),
    certificate: |settings, request| certificate(settings, request).map(Some),
    fingerprint: |_, request| {
        hex::encode(digest(&SHA256, signed_text(request).unwrap_or_default().as_bytes()))
    },
    event: Some(signed_fields),
    confirmation,
    ..Provider::new("sns", verify, |_, body| Identity::new(text(body, "MessageId"), text(body, "Type")))
};

const NOTIFICATION: [&str; 6] = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"];
const CONFIRMATION: [&str; 7] =
    ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"];
const SIGNING_CERT_URL: Refused = Refused::Body("SigningCertURL");

fn read(request: &Signed<'_>) -> Result<Value, Refused> {
    json::unambiguous(request.body).ok_or(Refused::Body("Type"))
}

/// The signed fields, in order.
fn fields(message: &Value) -> Option<&'static [&'static str]> {
    match text(Some(message), "Type")? {
        "Notification" => Some(&NOTIFICATION),
        "SubscriptionConfirmation" | "UnsubscribeConfirmation" => Some(&CONFIRMATION),
        _ => None,
    }
}

fn signed_text(request: &Signed<'_>) -> Result<String, Refused> {
    let message = read(request)?;
    let mut signed = String::new();
    for name in fields(&message).ok_or(Refused::Body("Type"))? {
        let value = match message.get(name) {
            None | Some(Value::Null) if *name == "Subject" => continue,
            value => value.and_then(Value::as_str).ok_or(Refused::Body(name))?,
        };
        if *name != "Message" && value.contains('\n') {
            return Err(Refused::Body(name));
        }
        signed += &format!("{name}\n{value}\n");
    }
    Ok(signed)
}

/// The configured topic that a message names.
fn topic<'a>(settings: &'a Settings, message: &Value) -> Result<&'a Topic, Refused> {
    let arn = text(Some(message), "TopicArn").ok_or(Refused::Body("TopicArn"))?;
    settings.topics.iter().find(|topic| topic.arn() == arn).ok_or(Refused::Body("TopicArn"))
}

fn certificate(settings: &Settings, request: &Signed<'_>) -> Result<Location, Refused> {
    let message = read(request)?;
    let url = text(Some(&message), "SigningCertURL").ok_or(SIGNING_CERT_URL)?;
    topic(settings, &message)?.certificate(url).ok_or(SIGNING_CERT_URL)
}

fn verify(
    settings: &Settings,
    request: &Signed<'_>,
    keys: &[Key],
    window: Window,
) -> Result<Verified, Refused> {
    let message = read(request)?;
    topic(settings, &message)?;
    let field = |name| text(Some(&message), name).ok_or(Refused::Body(name));
    window.check_rfc3339(field("Timestamp")?, Refused::Body("Timestamp"))?;
    let hash = match field("SignatureVersion")? {
        "1" => Hash::Sha1,
        "2" => Hash::Sha256,
        _ => return Err(Refused::Body("SignatureVersion")),
    };
    let signature = STANDARD.decode(field("Signature")?).map_err(|_| Refused::Body("Signature"))?;
    let signed = signed_text(request)?;
    let position = keys.iter().position(|key| key.rsa_signed(hash, signed.as_bytes(), &signature));
    position.map(|key_index| Verified { key_index }).ok_or(Refused::Forged)
}

/// The signed fields, with the message itself as JSON if it is an object or an array.
fn signed_fields(body: Value) -> Value {
    let Some(names) = fields(&body) else { return Value::Null };
    let mut signed = Map::new();
    for name in names {
        let value = match body.get(name) {
            Some(Value::String(message)) if *name == "Message" => {
                let parsed = serde_json::from_str(message).ok();
                let parsed = parsed.filter(|value: &Value| value.is_object() || value.is_array());
                parsed.unwrap_or_else(|| message.as_str().into())
            }
            Some(value) => value.clone(),
            None => continue,
        };
        signed.insert((*name).to_owned(), value);
    }
    signed.into()
}

/// The URL that confirms the subscription.
fn confirmation(settings: &Settings, body: &Value) -> Option<Location> {
    if text(Some(body), "Type")? != "SubscriptionConfirmation" {
        return None;
    }
    topic(settings, body).ok()?.confirmation(text(Some(body), "SubscribeURL")?)
}
