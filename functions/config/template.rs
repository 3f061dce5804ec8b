//! Templates of `webhooks.toml`: compiled once, at start or at first use. An undefined value is an error.
//!
//! One language with three kinds of output. *Text* prints the values. *JSON*: a value that is a single `{{ expression }}` keeps its type.
//! *URL*: every value is percent-encoded, so that a payload can't add a path segment, a query or a host; see [`url_template`](super::url_template). An undefined
//! field is an error everywhere, and in text and URLs so is `null`: the business key of an event without an id must not be the word "none".

mod names;
mod plain;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value as Jinja,
};
use serde_json::{Map, Value};

use self::names::{Named, named};
use super::{checked::Check, marked, problems::Problems};

/// The kind of a template's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Text,
    Json,
    Url,
}

impl Role {
    fn suffix(self) -> &'static str {
        match self {
            Self::Text => "!text",
            Self::Json => "!json",
            Self::Url => "!url",
        }
    }
}

/// A template, identified by its field in the file. [`Templates`] has it compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    name: Arc<str>,
    /// Its text in the file.
    source: Arc<str>,
}

/// JSON with templates in it.
#[derive(Debug, Clone, PartialEq)]
pub enum JsonTemplate {
    /// A literal value.
    Literal(Value),
    /// A string that contains `{{ }}`: text.
    Text(Template),
    /// A single `{{ expression }}`: its value, with its type.
    Expression(Template),
    /// An array; each item may have templates.
    Array(Vec<JsonTemplate>),
    /// An object; each value may have templates, the keys are literal.
    Object(Vec<(String, JsonTemplate)>),
}

/// A template can't be rendered with this data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct RenderError {
    /// The template: `steps.open_ticket.business_key`.
    pub field: String,
    /// What is missing or wrong: `event.data.object.id is missing`. Contains names, never values.
    pub message: String,
    /// The missing name, if that is the error.
    pub missing: Option<String>,
}

/// All compiled templates of a configuration.
#[derive(Debug)]
pub struct Templates {
    env: Environment<'static>,
    /// Templates that have been checked and are compiled at first use; none if all are compiled now.
    later: Option<Later>,
    /// The names that each compiled template uses.
    names: BTreeMap<Arc<str>, Vec<String>>,
    /// Whether any of them uses `digest`.
    digest: bool,
}

/// A list, not a map: a template is looked up here only to be compiled, and most of them never are.
type Later = Arc<Mutex<Vec<Template>>>;

impl Templates {
    pub(super) fn new(check: Check) -> Self {
        let mut env = Environment::new();
        env.set_undefined_behavior(UndefinedBehavior::Strict);
        env.set_auto_escape_callback(|name| match name.rsplit_once('!') {
            Some((_, "json")) => AutoEscape::Custom("json".into()),
            Some((_, "url")) => AutoEscape::Custom("url".into()),
            _ => AutoEscape::None,
        });
        env.set_formatter(format);
        // `debug` prints every variable, so a template could use names that are not in its text.
        env.remove_global("debug");
        let later = (check == Check::Hosts).then(Later::default);
        if let Some(later) = later.clone() {
            let source = |template: &Template| template.source.to_string();
            env.set_loader(move |name| Ok(lock(&later).iter().find(|it| &*it.name == name).map(source)));
        }
        Self { env, later, names: BTreeMap::new(), digest: false }
    }

    /// Compiles a template. `scope` lists the names it may use; `input.dispute` allows that field of `input` only.
    pub(super) fn add(
        &mut self,
        field: &str,
        role: Role,
        source: &str,
        scope: &[&str],
        problems: &mut Problems,
    ) -> Option<Template> {
        self.compile(field, role, source, scope).map_err(|message| problems.add(field, message)).ok()
    }

    fn compile(&mut self, field: &str, role: Role, source: &str, scope: &[&str]) -> Result<Template, String> {
        let name: Arc<str> = [field, role.suffix()].concat().into();
        self.digest |= source.contains("digest");
        let template = Template { name, source: source.into() };
        if let Some(later) = &self.later {
            lock(later).push(template.clone());
            return Ok(template);
        }
        self.env.add_template_owned(template.name.to_string(), source.to_owned()).map_err(|e| syntax(&e))?;
        let compiled = self.env.get_template(&template.name).map_err(|e| syntax(&e))?;
        let mut names: Vec<_> = compiled.undeclared_variables(true).into_iter().collect();
        names.sort();
        if let Some(unknown) = named(source).into_iter().find(|name| !self.has(*name)) {
            let (kind, name) = match unknown {
                Named::Filter(name) => ("filter", name),
                Named::Test(name) => ("test", name),
            };
            return Err(format!(
                "no {kind} is named {name:?}; https://docs.rs/minijinja/3/minijinja/{kind}s lists them"
            ));
        }
        if let Some(name) = names.iter().find(|name| !self.allows(scope, name)) {
            return Err(format!("{name} is not known here; known are {}", scope.join(", ")));
        }
        self.names.insert(template.name.clone(), names);
        Ok(template)
    }

    fn has(&self, name: Named<'_>) -> bool {
        // These functions fail without arguments, which proves that the function exists.
        let (error, unknown) = match name {
            Named::Filter(name) => {
                (self.env.empty_state().apply_filter(name, &[]).err(), ErrorKind::UnknownFilter)
            }
            Named::Test(name) => {
                (self.env.empty_state().perform_test(name, &[]).err(), ErrorKind::UnknownTest)
            }
        };
        error.is_none_or(|error| error.kind() != unknown)
    }

    fn allows(&self, scope: &[&str], name: &str) -> bool {
        let within = |known: &&str| {
            name.strip_prefix(*known).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let global = self.env.globals().any(|(global, _)| global == name);
        // `input` alone is the whole table, of which every field is allowed.
        let whole = |known: &&str| known.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
        global || scope.iter().any(within) || scope.iter().any(whole)
    }

    /// Compiles a condition such as `event.amount > 0`.
    pub(super) fn add_condition(
        &mut self,
        field: &str,
        source: &str,
        scope: &[&str],
        problems: &mut Problems,
    ) -> Option<Template> {
        if self.later.is_none()
            && let Err(error) = self.env.compile_expression(source)
        {
            problems.add(field, syntax(&error));
            return None;
        }
        self.add(field, Role::Text, &format!("{{% if ({source}) %}}true{{% endif %}}"), scope, problems)
    }

    /// Compiles every string in a JSON value.
    pub(super) fn add_json(
        &mut self,
        field: &str,
        value: Value,
        scope: &[&str],
        problems: &mut Problems,
    ) -> JsonTemplate {
        match value {
            Value::String(source) => self.add_json_string(field, source, scope, problems),
            Value::Array(items) => {
                let item = |(i, item)| self.add_json(&format!("{field}[{i}]"), item, scope, problems);
                JsonTemplate::Array(items.into_iter().enumerate().map(item).collect())
            }
            Value::Object(fields) => JsonTemplate::Object(self.add_fields(field, fields, scope, problems)),
            literal => JsonTemplate::Literal(literal),
        }
    }

    /// Compiles every value of a table.
    pub(super) fn add_fields(
        &mut self,
        field: &str,
        fields: Map<String, Value>,
        scope: &[&str],
        problems: &mut Problems,
    ) -> Vec<(String, JsonTemplate)> {
        let add = |(name, value): (String, Value)| {
            let value = self.add_json(&[field, ".", &name].concat(), value, scope, problems);
            (name, value)
        };
        fields.into_iter().map(add).collect()
    }

    fn add_json_string(
        &mut self,
        field: &str,
        source: String,
        scope: &[&str],
        problems: &mut Problems,
    ) -> JsonTemplate {
        if !source.contains("{{") && !source.contains("{%") && !source.contains("{#") {
            return JsonTemplate::Literal(Value::String(source));
        }
        let added = if self.is_single_expression(&source) {
            self.add(field, Role::Json, source.trim(), scope, problems).map(JsonTemplate::Expression)
        } else {
            self.add(field, Role::Text, &source, scope, problems).map(JsonTemplate::Text)
        };
        added.unwrap_or(JsonTemplate::Literal(Value::Null))
    }

    /// Whether a text is one expression: `{{ a }}` is, but `{{ a }}-{{ b }}` only has the same ends.
    fn is_single_expression(&self, source: &str) -> bool {
        let Some(inner) = source.trim().strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")) else {
            return false;
        };
        // Compile it only if it is ambiguous: an invalid expression is an invalid template as well.
        !["{{", "}}", "{%", "{#"].iter().any(|sign| inner.contains(sign))
            || self.env.compile_expression(inner).is_ok()
    }

    /// Whether they have been checked, so that they are compiled when they are first used.
    pub(super) fn are_checked(&self) -> bool {
        self.later.is_some()
    }

    /// Whether any of them may use `digest`.
    pub(crate) fn may_use_digest(&self) -> bool {
        self.digest
    }

    /// Renders text. A URL is rendered by its `UrlTemplate`.
    ///
    /// # Errors
    /// A field is missing, or an expression does not fit the data.
    pub fn text(&self, template: &Template, context: &Jinja) -> Result<String, RenderError> {
        if template.name.ends_with(Role::Text.suffix())
            && let Some(Value::String(text)) = plain::value(&template.source, context)
        {
            return Ok(text);
        }
        let compiled = self.compiled(template)?;
        compiled.render(context).map_err(|error| {
            let missing = (error.kind() == ErrorKind::UndefinedError)
                .then(|| first_missing(compiled.undeclared_variables(true), context))
                .flatten();
            template.failed(&error, missing)
        })
    }

    /// The template name whose value this is.
    pub(super) fn printed_as(&self, template: &Template, value: &str, context: &Jinja) -> Option<String> {
        let compiled = self.env.get_template(&template.name).ok()?;
        let names: BTreeSet<_> = compiled.undeclared_variables(true).into_iter().collect();
        names.into_iter().find(|name| look_up(name, context).is_some_and(|found| found.to_string() == value))
    }

    /// Whether a template uses a name such as `headers`, or a field of it.
    #[must_use]
    pub fn uses(&self, template: &Template, name: &str) -> bool {
        self.names_in(template).iter().any(|used| used.split('.').next() == Some(name))
    }

    /// The names that a template uses, including the engine's own.
    fn names_in(&self, template: &Template) -> Cow<'_, [String]> {
        if let Some(names) = self.names.get(&template.name) {
            return names.into();
        }
        if let Some(name) = plain::name(&template.source) {
            return vec![name.to_owned()].into();
        }
        let compiled = self.env.get_template(&template.name);
        let names = compiled.map(|compiled| compiled.undeclared_variables(true)).unwrap_or_default();
        let mut names: Vec<_> = names.into_iter().collect();
        names.sort();
        names.into()
    }

    /// The names that a template uses, with their fields as far as these are literal.
    pub(super) fn names(&self, template: &Template) -> Vec<String> {
        let is_global = |name: &str| self.env.globals().any(|(global, _)| global == name);
        self.names_in(template).iter().filter(|name| !is_global(name)).cloned().collect()
    }

    /// The names that all templates in a JSON value use.
    pub(super) fn names_of(&self, json: &JsonTemplate) -> Vec<String> {
        match json {
            JsonTemplate::Literal(_) => Vec::new(),
            JsonTemplate::Text(template) | JsonTemplate::Expression(template) => self.names(template),
            JsonTemplate::Array(items) => items.iter().flat_map(|item| self.names_of(item)).collect(),
            JsonTemplate::Object(fields) => {
                fields.iter().flat_map(|(_, field)| self.names_of(field)).collect()
            }
        }
    }

    /// Whether a condition holds.
    ///
    /// # Errors
    /// As [`Templates::text`].
    pub fn holds(&self, condition: &Template, context: &Jinja) -> Result<bool, RenderError> {
        Ok(self.text(condition, context)? == "true")
    }

    /// Renders JSON.
    ///
    /// # Errors
    /// As [`Templates::text`].
    pub fn json(&self, template: &JsonTemplate, context: &Jinja) -> Result<Value, RenderError> {
        Ok(match template {
            JsonTemplate::Literal(value) => value.clone(),
            JsonTemplate::Text(template) => Value::String(self.text(template, context)?),
            JsonTemplate::Expression(template) => self.expression(template, context)?,
            JsonTemplate::Array(items) => {
                Value::Array(items.iter().map(|item| self.json(item, context)).collect::<Result<_, _>>()?)
            }
            JsonTemplate::Object(fields) => {
                let field =
                    |(key, value): &(String, JsonTemplate)| Ok((key.clone(), self.json(value, context)?));
                Value::Object(fields.iter().map(field).collect::<Result<Map<_, _>, RenderError>>()?)
            }
        })
    }
}

impl Templates {
    fn compiled(&self, template: &Template) -> Result<minijinja::Template<'_, '_>, RenderError> {
        self.env.get_template(&template.name).map_err(|e| template.failed(&e, None))
    }

    fn expression(&self, template: &Template, context: &Jinja) -> Result<Value, RenderError> {
        if let Some(value) = plain::value(&template.source, context) {
            return Ok(value);
        }
        serde_json::from_str(&self.text(template, context)?).map_err(|e| RenderError {
            field: template.field().to_owned(),
            message: e.to_string(),
            missing: None,
        })
    }
}

impl JsonTemplate {
    /// Whether the text of any template in it contains one of these words.
    pub(super) fn mentions(&self, words: &[&str]) -> bool {
        match self {
            Self::Literal(_) => false,
            Self::Text(template) | Self::Expression(template) => {
                words.iter().any(|word| template.source.contains(word))
            }
            Self::Array(items) => items.iter().any(|item| item.mentions(words)),
            Self::Object(fields) => fields.iter().any(|(_, field)| field.mentions(words)),
        }
    }
}

impl Template {
    /// The template's field in `webhooks.toml`.
    #[must_use]
    pub fn field(&self) -> &str {
        self.name.rsplit_once('!').map_or(&*self.name, |(field, _)| field)
    }

    /// Its text in the file.
    pub(super) fn source(&self) -> &str {
        &self.source
    }

    fn failed(&self, error: &Error, missing: Option<String>) -> RenderError {
        let message = match &missing {
            Some(name) => format!("{name} is missing"),
            None => error.detail().map_or_else(|| error.kind().to_string(), str::to_owned),
        };
        RenderError { field: self.field().to_owned(), message, missing }
    }
}

fn lock(later: &Later) -> std::sync::MutexGuard<'_, Vec<Template>> {
    later.lock().unwrap_or_else(PoisonError::into_inner)
}

fn syntax(error: &Error) -> String {
    let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    format!("not a template: {detail}")
}

/// The first name, in order, that is missing from the context.
fn first_missing(names: impl IntoIterator<Item = String>, context: &Jinja) -> Option<String> {
    let names: BTreeSet<_> = names.into_iter().collect();
    names
        .into_iter()
        .find(|name| look_up(name, context).is_none_or(|value| value.is_undefined() || value.is_none()))
}

/// The value of a name such as `input.dispute`.
fn look_up(name: &str, context: &Jinja) -> Option<Jinja> {
    name.split('.').try_fold(context.clone(), |value, part| value.get_attr(part).ok())
}

fn format(out: &mut Output, state: &mut State, value: &Jinja) -> Result<(), Error> {
    let json = matches!(state.auto_escape(), AutoEscape::Custom(name) if name == "json");
    if value.is_undefined() || (value.is_none() && !json) {
        return Err(Error::new(ErrorKind::UndefinedError, "the value is missing or null"));
    }
    let text = match state.auto_escape() {
        AutoEscape::Custom(_) if json => Cow::Owned(to_json(value)?),
        AutoEscape::Custom(_) => Cow::Owned(to_url_part(&value.to_string())?),
        _ => value.as_str().map_or_else(|| Cow::Owned(value.to_string()), Cow::Borrowed),
    };
    out.write_str(&text).map_err(|_| Error::from(ErrorKind::WriteFailure))
}

fn to_json(value: &Jinja) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|e| Error::new(ErrorKind::BadSerialization, e.to_string()))
}

fn to_url_part(text: &str) -> Result<String, Error> {
    let why = "U+FDD0 and U+FDD1 are no characters for a URL";
    marked::fill_in(text).ok_or_else(|| Error::new(ErrorKind::InvalidOperation, why))
}
