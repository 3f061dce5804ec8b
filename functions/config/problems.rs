//! What is wrong with a configuration file: all of it, not the first of it.

use std::fmt;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
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
        self.0.push(Problem { field: field.into(), message: message.to_string() });
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
        Self { file: file.to_owned(), problems: vec![Problem { field: field.to_owned(), message }] }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, problems } = self;
        let count = problems.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        write!(f, "{file}: {count} {noun}")?;
        for Problem { field, message } in problems {
            write!(f, "\n  {field}: {message}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
