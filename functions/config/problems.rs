//! What is wrong with a configuration file: all of it, not the first of it.

use std::fmt;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// On which line of the file, if it is one.
    pub line: Option<usize>,
    /// Where: `steps.open_ticket.call.url`.
    pub field: String,
    /// What is wrong there, and what to write instead.
    pub message: String,
}

/// The mistakes found so far.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    pub(super) fn add(&mut self, field: impl Into<String>, message: impl fmt::Display) {
        self.0.push(Problem { line: None, field: field.into(), message: message.to_string() });
    }

    pub(super) fn extend(&mut self, problems: impl IntoIterator<Item = Problem>) {
        self.0.extend(problems);
    }

    /// The value if nothing was wrong, else everything that was.
    pub(super) fn or<T>(self, file: &str, value: T) -> Result<T, ConfigError> {
        if self.0.is_empty() {
            return Ok(value);
        }
        Err(self.into_error(file))
    }

    /// Everything that was wrong.
    pub(super) fn into_error(self, file: &str) -> ConfigError {
        ConfigError { file: file.to_owned(), problems: self.0 }
    }
}

/// Everything that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The file, or `environment`.
    pub file: String,
    /// In the order of the file.
    pub problems: Vec<Problem>,
}

impl ConfigError {
    pub(crate) fn one(file: &str, field: &str, message: String) -> Self {
        Self {
            file: file.to_owned(),
            problems: vec![Problem { line: None, field: field.to_owned(), message }],
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, problems } = self;
        let count = problems.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        write!(f, "{file}: {count} {noun}")?;
        for Problem { line, field, message } in problems {
            f.write_str("\n  ")?;
            if let Some(line) = line {
                write!(f, "line {line}, ")?;
            }
            write!(f, "{field}: {message}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
