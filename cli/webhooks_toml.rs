//! The webhooks.toml that a command is given.

use std::{fs, path::Path};

use anyhow::Result;
use driftq_webhooks::config::{Config, Problem};
use serde_json::{Value, json};

use crate::{
    exit::{Told, Usage},
    output::{counted, print},
    paint::Paint,
};

/// A file without errors.
#[derive(Debug)]
pub(crate) struct WebhooksToml {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) config: Config,
}

impl WebhooksToml {
    /// Reads the file. Errors in it are printed.
    pub(crate) fn read(path: &Path, json: bool) -> Result<Self> {
        let name = path.display().to_string();
        let text = fs::read_to_string(path)
            .map_err(|error| Usage(format!("{name}: {error}; name a webhooks.toml")))?;
        match Config::parse(&name, &text) {
            Ok(config) => Ok(Self { name, text, config }),
            Err(error) => {
                tell(&name, &error.problems, json)?;
                Err(Told.into())
            }
        }
    }
}

/// Prints the errors of a file.
fn tell(file: &str, problems: &[Problem], json: bool) -> Result<()> {
    print(&if json { json_of_problems(file, problems).to_string() } else { complaint(file, problems) })
}

/// Two lines per error: a location that an editor can open, and the error with its fix.
fn complaint(file: &str, problems: &[Problem]) -> String {
    let paint = Paint::stdout();
    let one = |Problem { line, field, message }: &Problem| {
        let place = line.map_or_else(|| file.to_owned(), |line| format!("{file}:{line}"));
        format!("{}  {}\n    {message}\n\n", paint.bold(place), paint.red(field))
    };
    let all: String = problems.iter().map(one).collect();
    all + &counted(problems.len(), "problem")
}

fn json_of_problems(file: &str, problems: &[Problem]) -> Value {
    let problem = |Problem { line, field, message }: &Problem| json!({ "line": line, "field": field, "message": message });
    json!({ "file": file, "ok": false, "problems": problems.iter().map(problem).collect::<Vec<_>>() })
}
