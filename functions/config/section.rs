//! A table of the file that is read field by field, so that every error in it is reported, not only the first.
//!
//! Tables and values are those of `serde_json`: templates need JSON, and the embedded file is kept as JSON.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::problems::Problems;

/// A table of the file.
pub(super) type Table = Map<String, Value>;

/// Few tables know more fields than this, so their list seldom has to grow.
const USUAL_FIELDS: usize = 16;

/// A table of the file, with its path.
pub(super) struct Section {
    path: String,
    table: Table,
    known: Vec<&'static str>,
}

impl Section {
    pub(super) fn new(path: impl Into<String>, table: Table) -> Self {
        Self { path: path.into(), table, known: Vec::with_capacity(USUAL_FIELDS) }
    }

    /// The path of `field` in the file.
    pub(super) fn path(&self, field: &str) -> String {
        if self.path.is_empty() { field.to_owned() } else { [&*self.path, ".", field].concat() }
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
        self.convert(field, value, expected, problems)
    }

    fn convert<T: DeserializeOwned>(
        &self,
        field: &str,
        value: Value,
        expected: &str,
        problems: &mut Problems,
    ) -> Option<T> {
        let problem = |error| problems.add(self.path(field), format!("{error}; expected {expected}"));
        serde_json::from_value(value).map_err(problem).ok()
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
        let table = self.table(field, "a table", problems)?;
        Some(Self::new(self.path(field), table))
    }

    /// The content of a table, as `optional` reads it, but not copied.
    pub(super) fn table(
        &mut self,
        field: &'static str,
        expected: &str,
        problems: &mut Problems,
    ) -> Option<Table> {
        match self.take(field)? {
            Value::Object(table) => Some(table),
            other => self.convert(field, other, expected, problems),
        }
    }

    /// The tables of an array.
    pub(super) fn tables(
        &mut self,
        field: &'static str,
        expected: &str,
        problems: &mut Problems,
    ) -> Option<Vec<Table>> {
        let table = |item| if let Value::Object(table) = item { Some(table) } else { None };
        match self.take(field)? {
            Value::Array(items) if items.iter().all(Value::is_object) => {
                Some(items.into_iter().filter_map(table).collect())
            }
            other => self.convert(field, other, expected, problems),
        }
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
