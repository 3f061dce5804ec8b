//! A TOML table that is read field by field, so that every error in it is reported, not only the first.

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::problems::Problems;

/// A table of the file, with its path.
pub(super) struct Section {
    path: String,
    table: Table,
    known: Vec<&'static str>,
}

impl Section {
    pub(super) fn new(path: impl Into<String>, table: Table) -> Self {
        Self { path: path.into(), table, known: Vec::new() }
    }

    /// The path of `field` in the file.
    pub(super) fn path(&self, field: &str) -> String {
        if self.path.is_empty() { field.to_owned() } else { format!("{}.{field}", self.path) }
    }

    /// The path of the section itself.
    pub(super) fn place(&self) -> &str {
        &self.path
    }

    /// Gives the section a better name once its own id is known.
    pub(super) fn rename(&mut self, path: String) {
        self.path = path;
    }

    /// Reads an optional field. `expected` says what to write.
    pub(super) fn optional<T: DeserializeOwned>(
        &mut self,
        field: &'static str,
        expected: &str,
        problems: &mut Problems,
    ) -> Option<T> {
        let value = self.take(field)?;
        match value.try_into() {
            Ok(value) => Some(value),
            Err(error) => {
                let error: toml::de::Error = error;
                problems.add(self.path(field), format!("{}; expected {expected}", error.message()));
                None
            }
        }
    }

    /// Reads a required field.
    pub(super) fn required<T: DeserializeOwned>(
        &mut self,
        field: &'static str,
        expected: &str,
        problems: &mut Problems,
    ) -> Option<T> {
        if !self.table.contains_key(field) {
            problems.add(self.path(field), format!("missing; add {expected}"));
            self.known.push(field);
            return None;
        }
        self.optional(field, expected, problems)
    }

    /// A table inside this one.
    pub(super) fn section(&mut self, field: &'static str, problems: &mut Problems) -> Option<Self> {
        let table = self.optional(field, "a table", problems)?;
        Some(Self::new(self.path(field), table))
    }

    /// Removes and returns a value that other code reads.
    pub(super) fn take(&mut self, field: &'static str) -> Option<Value> {
        self.known.push(field);
        self.table.remove(field)
    }

    /// Reports all remaining fields as unknown.
    pub(super) fn finish(self, problems: &mut Problems) {
        for field in self.table.keys() {
            let message = format!("unknown field; known are {}", self.known.join(", "));
            problems.add(self.path(field), message);
        }
    }
}
