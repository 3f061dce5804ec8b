//! Discord interactions: `X-Signature-Ed25519`, the hex Ed25519 signature of `X-Signature-Timestamp` and the body
//! (<https://docs.discord.com/developers/interactions/overview>). The secret is the application's public key.
//!
//! Discord sometimes sends forged requests, and removes the URL of an application that does not respond 401 to them.

use serde_json::{Value, json};

use crate::{
    Answer, Identity, Refused, Signed, Success, Verified, header,
    header::Window,
    key::{self, Key},
    provider::Provider,
    settings::Settings,
    text,
};

pub(super) static PROVIDER: Provider = Provider {
    key: |_, public| Key::ed25519_from_hex(public),
    handshake: |body, _| handshake(body),
    // An interaction needs a response; type 5 promises one later.
    success: || Success::Only(Answer::json(&json!({ "type": 5 }))),
    ..Provider::new("discord", verify, |_, body| identity(body))
};

const SIGNATURE: &str = "x-signature-ed25519";
const TIMESTAMP: &str = "x-signature-timestamp";

fn verify(_: &Settings, request: &Signed<'_>, keys: &[Key], window: Window) -> Result<Verified, Refused> {
    let line = header::only(request.headers, SIGNATURE)?;
    let timestamp = header::only(request.headers, TIMESTAMP)?;
    window.check_unseparated(timestamp, Refused::Malformed(TIMESTAMP))?;
    let signature = key::from_hex::<64>(line).ok_or(Refused::Malformed(SIGNATURE))?;
    key::find(keys, &[timestamp.as_bytes(), request.body], &[signature])
}

/// The type is Discord's number, such as `2` for a command.
fn identity(body: Option<&Value>) -> Identity {
    let number = body.and_then(|body| body.get("type")?.as_u64()).map(|number| number.to_string());
    Identity::new(text(body, "id"), number.as_deref())
}

/// Answers PING, which is sent when the URL is entered and from time to time, with PONG.
fn handshake(body: &Value) -> Option<Answer> {
    (body.get("type")?.as_u64() == Some(1)).then(|| Answer::json(&json!({ "type": 1 })))
}
