//! The receipt: what is kept of the third party's answer to an applied effect.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Bytes of JSON that a receipt's fields may take, names included. A DynamoDB item has at most 400 KB, and a commit that
/// can't be written would leave the effect in doubt although the answer is known.
const LARGEST: usize = 16 * 1024;

/// What is kept of the third party's answer to an applied effect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// HTTP status.
    pub status: u16,
    /// SHA-256 of the body, in hex.
    pub digest: String,
    /// The fields that the step's `receipt` table names.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub fields: Map<String, Value>,
    /// Names of the fields that were too large to keep.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    cut: Vec<String>,
}

impl Receipt {
    /// Keeps as many of the fields as fit, the smallest first. A field is kept whole or not at all, since a part could be mistaken for the whole.
    #[must_use]
    pub fn new(status: u16, digest: String, fields: Map<String, Value>) -> Self {
        let mut by_size: Vec<_> =
            fields.into_iter().map(|(name, value)| (size(&name, &value), name, value)).collect();
        by_size.sort_by_key(|(size, ..)| *size);
        let mut receipt = Self { status, digest, fields: Map::new(), cut: Vec::new() };
        let mut left = LARGEST;
        for (size, name, value) in by_size {
            match left.checked_sub(size) {
                Some(rest) => {
                    left = rest;
                    receipt.fields.insert(name, value);
                }
                None => receipt.cut.push(name),
            }
        }
        receipt
    }
}

fn size(name: &str, value: &Value) -> usize {
    name.len() + value.to_string().len()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_does_not_fit_is_cut_and_named_and_the_small_fields_stay() {
        let fields = json!({ "all": "x".repeat(LARGEST), "id": "tp_1", "text": "y".repeat(LARGEST - 100) });
        let receipt = Receipt::new(200, "d".into(), fields.as_object().cloned().unwrap_or_default());
        assert_eq!(receipt.fields.keys().collect::<Vec<_>>(), ["id", "text"]);
        assert_eq!(receipt.cut, ["all"]);
        let json = serde_json::to_string(&receipt).unwrap();
        assert!(json.len() < LARGEST + 200, "{}", json.len());
        assert_eq!(serde_json::from_str::<Receipt>(&json).unwrap(), receipt);
    }

    #[test]
    fn an_ordinary_receipt_is_not_marked() {
        let fields = json!({ "id": "tp_1" });
        let receipt = Receipt::new(200, "d".into(), fields.as_object().cloned().unwrap_or_default());
        assert_eq!(
            serde_json::to_value(receipt).unwrap(),
            json!({ "status": 200, "digest": "d", "fields": { "id": "tp_1" } })
        );
    }
}
