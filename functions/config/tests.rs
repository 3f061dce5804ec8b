//! The whole file, as a user meets it.

use serde_json::{Value, json};

use super::*;

#[test]
fn the_shipped_example_is_right() {
    let config = Config::parse("webhooks.toml", EMBEDDED).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.sources.len(), 3);
    assert_eq!(config.steps.len(), 5);
}
