//! All errors of a configuration file, not only the first.

use std::fmt;

/// One error in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line in the file, if it is in a file.
    pub line: Option<usize>,
    /// The field's path: `steps.open_ticket.call.url`.
    pub field: String,
    /// What is wrong, and what to write instead.
    pub message: String,
}

/// The errors found so far.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    pub(super) fn add(&mut self, field: impl Into<String>, message: impl fmt::Display) {
        self.0.push(Problem { line: None, field: field.into(), message: message.to_string() });
    }

    /// Returns the value if there are no errors, else all errors.
    pub(super) fn or<T>(self, file: &str, value: T) -> Result<T, ConfigError> {
        if self.0.is_empty() {
            return Ok(value);
        }
        Err(self.into_error(file))
    }

    /// Converts the errors found into a [`ConfigError`].
    pub(super) fn into_error(self, file: &str) -> ConfigError {
        ConfigError { file: file.to_owned(), problems: self.0 }
    }
}

/// All errors of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The file's name, or `environment`.
    pub file: String,
    /// The errors, in the order of the file.
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
