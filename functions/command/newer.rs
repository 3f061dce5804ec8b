//! What a newer version has written.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// That other steps come after, or before, the command's own: who ignored that would never begin them.
const STEPS_AFTER: &str = "after";
/// What this version understands of what commands may need.
pub(super) const UNDERSTOOD: [&str; 1] = [STEPS_AFTER];

/// What a command of a chain needs.
pub(super) fn of_chain() -> Vec<String> {
    vec![STEPS_AFTER.to_owned()]
}

/// The fields that this version does not know, without the signature: that is the message's and not the command's.
///
/// # Errors
/// They are no map.
pub(super) fn fields<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, Value>, D::Error> {
    let mut fields = BTreeMap::deserialize(deserializer)?;
    fields.remove("mac");
    Ok(fields)
}
