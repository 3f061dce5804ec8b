//! `put`, `update` and `delete`: writes one item of a user's DynamoDB table, instead of a call.
//!
//! The item and the effect's own record are written in one transaction, so it is always known whether it happened: such a step has no
//! `in_doubt`.

use std::{collections::BTreeSet, fmt, time::Duration};

use serde_json::{Map, Value};

use super::{
    call::call_scope,
    problems::Problems,
    section::Section,
    template::{JsonTemplate, Templates},
};

/// Time limit of the write: as long as a client waits for DynamoDB.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

/// Fields of an item, or values of a condition, by name.
pub type Fields = Vec<(String, JsonTemplate)>;

/// A write of one item.
#[derive(Debug, Clone)]
pub struct RowTemplate {
    /// The table's name.
    pub table: String,
    /// The kind of write.
    pub change: ChangeTemplate,
    /// Condition of the write. If it does not hold, the step is refused for good.
    pub condition: Option<ConditionTemplate>,
    /// Fields that are kept for later steps, by name.
    pub receipt: Fields,
}

/// The kind of write to an item.
#[derive(Debug, Clone)]
pub enum ChangeTemplate {
    /// Replaces or creates the item.
    Put {
        /// The whole item, its key included.
        item: Fields,
    },
    /// Updates fields of the item.
    Update {
        /// The item's key.
        key: Fields,
        /// Fields to set.
        set: Fields,
        /// Numbers to add to fields.
        add: Fields,
        /// Fields to remove.
        remove: Vec<String>,
    },
    /// Deletes the item.
    Delete {
        /// The item's key.
        key: Fields,
    },
}

/// A DynamoDB condition expression: `#name` is a field whose name DynamoDB reserves, `:name` a value.
#[derive(Debug, Clone)]
pub struct ConditionTemplate {
    /// As it stands in the file.
    pub expression: String,
    /// The names after `#`.
    pub names: Vec<String>,
    /// The values after `:`.
    pub values: Fields,
}

/// The kinds, by the name of their field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Put,
    Update,
    Delete,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Put, Self::Update, Self::Delete];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

impl fmt::Display for RowTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.change {
            ChangeTemplate::Put { .. } => Kind::Put,
            ChangeTemplate::Update { .. } => Kind::Update,
            ChangeTemplate::Delete { .. } => Kind::Delete,
        };
        write!(f, "{} {}", kind.name(), self.table)
    }
}

impl RowTemplate {
    /// The table's name in `[destinations]`.
    #[must_use]
    pub fn destination(&self) -> String {
        format!("dynamodb:{}", self.table)
    }

    pub(super) fn read(
        kind: Kind,
        mut section: Section,
        input: &[(String, JsonTemplate)],
        templates: &mut Templates,
        problems: &mut Problems,
    ) -> Option<Self> {
        let scope = call_scope(input);
        let scope: Vec<&str> = scope.iter().map(String::as_str).collect();
        let table = read_table(&mut section, problems);
        let mut fields = |name, required: bool, problems: &mut Problems| {
            read_fields(name, required, &mut section, &scope, templates, problems)
        };
        let change = match kind {
            Kind::Put => ChangeTemplate::Put { item: fields("item", true, problems) },
            Kind::Delete => ChangeTemplate::Delete { key: fields("key", true, problems) },
            Kind::Update => {
                let key = fields("key", true, problems);
                let (set, add) = (fields("set", false, problems), fields("add", false, problems));
                let remove = section.optional("remove", "a list of names of fields", problems);
                ChangeTemplate::Update { key, set, add, remove: remove.unwrap_or_default() }
            }
        };
        if let ChangeTemplate::Update { set, add, remove, .. } = &change
            && set.is_empty()
            && add.is_empty()
            && remove.is_empty()
        {
            problems.add(section.place(), "changes nothing; write set, add or remove");
        }
        let condition = read_condition(&mut section, &scope, templates, problems);
        let receipt = read_fields("receipt", false, &mut section, &scope, templates, problems);
        section.finish(problems);
        Some(Self { table: table?, change, condition, receipt })
    }
}

/// Reads a table name, with the characters that DynamoDB allows.
fn read_table(section: &mut Section, problems: &mut Problems) -> Option<String> {
    let table: String = section.required("table", "table = \"orders\" or another", problems)?;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if !(3..=255).contains(&table.len()) || !table.bytes().all(legal) {
        let why = "not the name of a DynamoDB table: 3 to 255 letters, digits, _, - and .";
        problems.add(section.path("table"), why);
        return None;
    }
    Some(table)
}

fn read_fields(
    name: &'static str,
    required: bool,
    section: &mut Section,
    scope: &[&str],
    templates: &mut Templates,
    problems: &mut Problems,
) -> Fields {
    let expected = "a table of names and templates";
    let fields: Option<Map<String, Value>> = match required {
        true => section.required(name, &format!("{name} = {{ id = \"{{{{ input.id }}}}\" }}"), problems),
        false => section.optional(name, expected, problems),
    };
    let fields = fields.unwrap_or_default();
    templates.add_fields(&section.path(name), fields, scope, problems)
}

fn read_condition(
    section: &mut Section,
    scope: &[&str],
    templates: &mut Templates,
    problems: &mut Problems,
) -> Option<ConditionTemplate> {
    let values = read_fields("values", false, section, scope, templates, problems);
    let expected = "a condition such as \"attribute_not_exists(id)\"";
    let expression: Option<String> = section.optional("condition", expected, problems);
    let used = expression.as_deref().map(|text| placeholders(text, ':')).unwrap_or_default();
    for name in used.iter().filter(|name| !values.iter().any(|(known, _)| known == *name)) {
        let why = format!(":{name} has no value; add it to values");
        problems.add(section.path("condition"), why);
    }
    for (name, _) in values.iter().filter(|(name, _)| !used.contains(name)) {
        let why = format!("the condition does not use :{name}; remove it");
        problems.add(format!("{}.{name}", section.path("values")), why);
    }
    let expression = expression?;
    let names = placeholders(&expression, '#').into_iter().collect();
    Some(ConditionTemplate { expression, names, values })
}

/// The placeholder names after a sign.
fn placeholders(expression: &str, sign: char) -> BTreeSet<String> {
    let after = expression.split(sign).skip(1);
    let name = |text: &str| text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    after.map(name).filter(|name: &String| !name.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn problems(write: &str) -> Vec<String> {
        let step = format!(
            "[[steps]]\nid = 's'\nbusiness_key = 'k'\ninput = {{ id = '{{{{ event.id }}}}' }}\n{write}"
        );
        let Err(error) = Config::parse("webhooks.toml", &step) else { return Vec::new() };
        error.problems.iter().map(|problem| format!("{}: {}", problem.field, problem.message)).collect()
    }

    #[test]
    fn each_kind_is_read_and_needs_no_policy_for_doubts() {
        for write in [
            "put = { table = 'orders', item = { id = '{{ input.id }}', n = 1 }, condition = 'attribute_not_exists(id)' }",
            "update = { table = 'orders', key = { id = '{{ input.id }}' }, set = { paid = true }, add = { n = 1 }, remove = ['x'] }",
            "delete = { table = 'orders', key = { id = '{{ input.id }}' }, condition = '#state = :open', values = { open = 'open' } }",
        ] {
            assert_eq!(problems(write), Vec::<String>::new(), "{write}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        let item = "item = { id = '{{ input.id }}' }";
        for (write, expected) in [
            (
                format!("put = {{ table = 'o', {item} }}"),
                "steps.s.put.table: not the name of a DynamoDB table",
            ),
            ("put = { table = 'orders' }".into(), "steps.s.put.item: missing; add item = "),
            (
                format!("put = {{ table = 'orders', {item}, condition = 'a = :b' }}"),
                "steps.s.put.condition: :b has no value",
            ),
            (
                format!("put = {{ table = 'orders', {item}, values = {{ b = 1 }} }}"),
                "steps.s.put.values.b: the condition does not use :b",
            ),
            ("update = { table = 'orders', key = { id = 1 } }".into(), "steps.s.update: changes nothing"),
            (
                format!("put = {{ table = 'orders', {item} }}\nin_doubt = {{ policy = 'park' }}"),
                "steps.s.in_doubt: remove it",
            ),
            (
                format!(
                    "put = {{ table = 'orders', {item} }}\ndelete = {{ table = 'orders', key = {{ id = 1 }} }}"
                ),
                "steps.s.delete: a step does one thing",
            ),
            ("".into(), "steps.s.call: missing"),
        ] {
            let found = problems(&write);
            assert!(found.iter().any(|found| found.starts_with(expected)), "{write}: {found:?}");
        }
    }
}
