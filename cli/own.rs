//! The developer's own secrets: from the environment, otherwise from a file of `NAME=value` lines.

use std::{collections::BTreeMap, env, fs, io, path::PathBuf};

use anyhow::Result;
use clap::Args;

use crate::exit::Usage;

const USUAL: &str = ".env";

/// The option for a file of secrets.
#[derive(Debug, Args)]
pub(crate) struct EnvFile {
    /// A file of NAME=value lines with secrets that are not in the environment; .env by default, if it exists.
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
}

/// The secrets that are set.
#[derive(Debug)]
pub(crate) struct Own {
    file: String,
    values: BTreeMap<String, String>,
}

impl Own {
    pub(crate) fn read(args: &EnvFile) -> Result<Self> {
        let path = args.env_file.clone().unwrap_or_else(|| USUAL.into());
        let file = path.display().to_string();
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && args.env_file.is_none() => String::new(),
            Err(error) => return Err(Usage(format!("{file}: {error}")).into()),
            Ok(text) => text,
        };
        let values = parse(&text).map_err(|line| {
            Usage(format!("{file}:{line}: not NAME=value; correct the line, or put # before it"))
        })?;
        Ok(Self { file, values })
    }

    pub(crate) fn get(&self, name: &str) -> Option<String> {
        of_environment(name).or_else(|| self.values.get(name).cloned())
    }

    /// Where a secret comes from.
    pub(crate) fn place(&self, name: &str) -> Option<&str> {
        if of_environment(name).is_some() {
            return Some("the environment");
        }
        self.values.contains_key(name).then_some(&*self.file)
    }
}

fn of_environment(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// The names and values, or the number of the first line without them. A blank value counts as not set.
fn parse(text: &str) -> Result<BTreeMap<String, String>, usize> {
    let mut values = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) = line.split_once('=').ok_or(index + 1)?;
        let value = unquoted(value.trim());
        if !value.is_empty() {
            values.insert(name.trim().to_owned(), value.to_owned());
        }
    }
    Ok(values)
}

/// A value without its quotes, or an unquoted value without a comment after it.
fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some((inner, _)) = value.strip_prefix(quote).and_then(|rest| rest.split_once(quote)) {
            return inner;
        }
    }
    value.split_once(" #").map_or(value, |(value, _)| value).trim_end()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]
mod tests {
    use super::parse;

    #[test]
    fn lines_are_read_as_shells_and_other_tools_read_them() {
        let text = "# mine\nA=1\nexport B = \"x # y\" # z\nC='it''s'\nD=a=b # note\nE=\n\n F = #f\n";
        let expected = [("A", "1"), ("B", "x # y"), ("C", "it"), ("D", "a=b"), ("F", "#f")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(parse(text).unwrap(), expected.into());
        assert_eq!(parse("A=1\nsecret\n"), Err(2));
    }
}
