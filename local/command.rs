//! Commands on a topic: read, changed, and signed like a function's.

use anyhow::{Context, Result};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The secret that both functions sign commands with, and its value here.
pub const KEY: (&str, &str) = ("COMMAND_KEY", "local-command-key-of-32-characters");

/// The command that a produce request carries.
///
/// # Errors
/// It carries none.
pub fn of(produce: &Value) -> Result<Value> {
    let message = produce["value"].as_str().context("a produce request has a value")?;
    let mut command: Value = serde_json::from_str(message).context("the message is no command")?;
    command.as_object_mut().context("the message is no object")?.remove("mac");
    Ok(command)
}

/// The same produce request with another command, signed.
#[must_use]
pub fn with(produce: &Value, command: &Value) -> Value {
    let mut produce = produce.clone();
    produce["value"] = signed(command).into();
    produce
}

/// The same produce request with a changed command: the digest of the input and the signature are recomputed.
///
/// # Errors
/// It carries no command.
pub fn fitted(produce: &Value) -> Result<Value> {
    let mut command = of(produce)?;
    if let Some(input) = command.pointer_mut("/payload/input") {
        input.sort_all_objects();
        let input = input.clone();
        command["input_hash"] = hex::encode(Sha256::digest(input.to_string())).into();
    }
    Ok(with(produce, &command))
}

fn signed(command: &Value) -> String {
    let json = command.to_string();
    let key =
        Hmac::<Sha256>::new_from_slice(KEY.1.as_bytes()).unwrap_or_else(|_| unreachable!("any key will do"));
    let mac = key.chain_update("driftq-webhooks command 1\n").chain_update(&json).finalize().into_bytes();
    format!("{},\"mac\":\"{}\"}}", &json[..json.len() - 1], hex::encode(mac))
}
