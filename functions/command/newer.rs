//! What a newer version has written.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// What this version understands of what commands may need.
pub(super) const UNDERSTOOD: [&str; 0] = [];

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
