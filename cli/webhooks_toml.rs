//! The webhooks.toml that a command is given.

use std::{fs, path::Path};

use anyhow::Result;
use driftq_webhooks::config::Config;

use crate::{
    commands::check,
    exit::{Told, Usage},
};

/// A file without errors.
#[derive(Debug)]
pub(crate) struct WebhooksToml {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) config: Config,
}

impl WebhooksToml {
    /// Reads the file. Errors in it are printed as by `check`.
    pub(crate) fn read(path: &Path, json: bool) -> Result<Self> {
        let name = path.display().to_string();
        let text = fs::read_to_string(path)
            .map_err(|error| Usage(format!("{name}: {error}; name a webhooks.toml")))?;
        match Config::parse(&name, &text) {
            Ok(config) => Ok(Self { name, text, config }),
            Err(error) => {
                check::tell(&name, &error.problems, json)?;
                Err(Told.into())
            }
        }
    }
}
