//! Slack: `X-Slack-Signature: v0=<hex>`, the HMAC of `v0:timestamp:body`
//! (<https://docs.slack.dev/authentication/verifying-requests-from-slack>).
//!
//! Events are JSON, commands and interactions are forms; both are signed in the same way. An event is redelivered three times with the same
//! `event_id`.

use serde_json::Value;

use crate::{Answer, Identity, Success, provider::Provider, text, v0::V0};

pub(super) static PROVIDER: Provider = Provider {
    handshake: |body, _| handshake(body),
    // Any body would be shown to the user who gave the command.
    success: || Success::Only(Answer::text("")),
    ..Provider::new(
        "slack",
        |_, request, keys, window| FORMAT.verify(request, keys, window),
        |_, body| identity(body),
    )
};

const FORMAT: V0 = V0 { signature: "x-slack-signature", timestamp: "x-slack-request-timestamp" };

/// The type is the inner event's, such as `app_mention`, or else the command's name, such as `/deploy`.
fn identity(body: Option<&Value>) -> Identity {
    let inner = body.and_then(|body| body.get("event"));
    Identity::new(
        text(body, "event_id"),
        text(inner, "type").or(text(body, "type")).or(text(body, "command")),
    )
}

/// Answers `url_verification` with its challenge.
fn handshake(body: &Value) -> Option<Answer> {
    let challenge = text(Some(body), "challenge")?;
    (text(Some(body), "type") == Some("url_verification")).then(|| Answer::text(challenge))
}
