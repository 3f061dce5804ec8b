//! Fields and needs of commands that a newer version has written.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// The command is part of a chain: a consumer that ignored that would never begin the later steps.
const STEPS_AFTER: &str = "after";
/// The needs that this version understands.
pub(super) const UNDERSTOOD: [&str; 1] = [STEPS_AFTER];

/// The needs of a command of a chain.
pub(super) fn of_chain() -> Vec<String> {
    vec![STEPS_AFTER.to_owned()]
}

/// The fields that this version does not know, without the signature, which belongs to the message.
///
/// # Errors
/// They are not a map.
pub(super) fn fields<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, Value>, D::Error> {
    let mut fields = BTreeMap::deserialize(deserializer)?;
    fields.remove("mac");
    Ok(fields)
}
