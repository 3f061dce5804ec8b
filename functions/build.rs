//! Parses `webhooks.toml` when the functions are built, since parsing it takes a third of a cold start. Cargo runs this again when the file
//! changes. A file with syntax errors is left to the functions and to `cargo webhooks check`, which report them with their lines.

use std::{env, fs, io, path::PathBuf};

use toml::Table;

const FILE: &str = "webhooks.toml";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed={FILE}");
    let text = fs::read_to_string(FILE)?;
    let json = text.parse().ok().and_then(|table| json_of(&table)).unwrap_or_default();
    let folder = env::var_os("OUT_DIR").map(PathBuf::from).unwrap_or_default();
    fs::write(folder.join("webhooks.json"), json)
}

/// The table as JSON, unless JSON can't express it: TOML has numbers that are infinite.
fn json_of(table: &Table) -> Option<String> {
    let json = serde_json::to_string(table).ok()?;
    let read: Table = serde_json::from_str(&json).ok()?;
    (read == *table).then_some(json)
}
