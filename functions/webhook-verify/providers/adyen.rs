//! Adyen's standard webhooks: each item of the body has an `additionalData.hmacSignature`, the base64 HMAC of eight of its fields
//! (<https://docs.adyen.com/development-resources/webhooks/secure-webhooks/verify-hmac-signatures>). The secret is the
//! hex HMAC key of the Customer Area.
//!
//! **Only these eight fields of an item are signed**: not its date, its reason or its payment method. So an effect's identity is the event's id,
//! which consists of three of them: `pspReference.eventCode.success`.
//!
//! The fields are joined with colons, and a merchant's own reference may contain colons. No other field does, so the text is unambiguous.

use ring::digest::{SHA256, digest};
use serde_json::Value;

use crate::{
    Answer, Identity, Refused, Signed, Success, Verified,
    header::Window,
    json,
    key::{self, Key},
    provider::Provider,
    settings::Settings,
    text,
};

pub(super) static PROVIDER: Provider = Provider {
    signed: &["event_id", "event_type", "digest"],
    batch: items,
    item_digest: |item| hex::encode(digest(&SHA256, signed_text(item).unwrap_or_default().as_bytes())),
    key: |_, secret| Key::sha256_from_hex(secret),
    // After any other response, it may be redelivered.
    success: || Success::Only(Answer::text("[accepted]")),
    ..Provider::new("adyen", verify, |_, item| identity(item))
};

const BODY: Refused = Refused::Body("notificationItems");
const SIGNATURE: Refused = Refused::Body("hmacSignature");

/// Verifies all items: every one must be signed.
fn verify(_: &Settings, request: &Signed<'_>, keys: &[Key], _: Window) -> Result<Verified, Refused> {
    // The body must be parsed before it can be verified, since the signatures are inside.
    let body = json::unambiguous(request.body).ok_or(BODY)?;
    let items = items(&body).ok_or(BODY)?;
    let mut verified = Err(BODY);
    for item in &items {
        let signature = text(item.get("additionalData"), "hmacSignature").ok_or(SIGNATURE)?;
        let signature = key::from_base64::<32>(signature).ok_or(SIGNATURE)?;
        verified = key::find(keys, &[signed_text(item).ok_or(BODY)?.as_bytes()], &[signature]);
        verified?;
    }
    verified
}

fn items(body: &Value) -> Option<Vec<Value>> {
    let items = body.get("notificationItems")?.as_array()?;
    items.iter().map(|item| item.get("NotificationRequestItem").cloned()).collect()
}

/// The signed text of an item, or none if it is not in Adyen's format.
fn signed_text(item: &Value) -> Option<String> {
    let optional = |name: &str| item.get(name).map_or(Some(""), Value::as_str);
    let without_colon = |text: &&str| !text.contains(':');
    let psp_reference = text(Some(item), "pspReference").filter(without_colon)?;
    let original_reference = optional("originalReference").filter(without_colon)?;
    let account = text(Some(item), "merchantAccountCode").filter(without_colon)?;
    let amount = item.get("amount")?;
    let value = amount.get("value")?.as_i64()?;
    let currency = amount.get("currency")?.as_str().filter(without_colon)?;
    let event_code = text(Some(item), "eventCode").filter(without_colon)?;
    let success = text(Some(item), "success").filter(|success| matches!(*success, "true" | "false"))?;
    let reference = optional("merchantReference")?;
    Some(format!(
        "{psp_reference}:{original_reference}:{account}:{reference}:{value}:{currency}:{event_code}:{success}"
    ))
}

fn identity(item: Option<&Value>) -> Identity {
    let [psp_reference, event_code, success] =
        ["pspReference", "eventCode", "success"].map(|name| text(item, name));
    let id = [psp_reference, event_code, success].into_iter().collect::<Option<Vec<_>>>();
    Identity::new(id.map(|id| id.join(".")).as_deref(), event_code)
}
