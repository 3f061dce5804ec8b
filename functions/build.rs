//! Parses `webhooks.toml` when the functions are built, since JSON is read in a third of the time that TOML takes. Cargo runs this again when
//! the file changes. A file with syntax errors is left to the functions and to `cargo webhooks check`, which report them with their lines.

use std::{env, fs, io, path::PathBuf};

use serde_json::Value;

const FILE: &str = "webhooks.toml";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed={FILE}");
    let text = fs::read_to_string(FILE)?;
    let json = toml::from_str(&text).ok().and_then(|file| json_of(&file)).unwrap_or_default();
    let folder = env::var_os("OUT_DIR").map(PathBuf::from).unwrap_or_default();
    fs::write(folder.join("webhooks.json"), json)
}

/// The file as JSON. None: reading the JSON again would not give the same value, since the last digits of a
/// number can be lost.
fn json_of(file: &Value) -> Option<String> {
    let json = file.to_string();
    let read: Value = serde_json::from_str(&json).ok()?;
    (read == *file).then_some(json)
}
