//! Templates that are a single name with fields, such as `{{ event.data.object.id }}`. Most templates are,
//! and looking the value up costs a tenth of running the engine. A value that is not found here is left to
//! the engine, which also makes the error message.

use minijinja::Value as Jinja;
use serde_json::Value;

/// The name, if the template is a single one.
pub(super) fn name(source: &str) -> Option<&str> {
    let name = source.strip_prefix("{{")?.strip_suffix("}}")?.trim();
    let is_reserved = name.split('.').next().is_some_and(|first| RESERVED.contains(&first));
    (name.split('.').all(is_word) && !is_reserved).then_some(name)
}

/// Words with a meaning of their own in the engine, so they are not names of values.
const RESERVED: [&str; 7] = ["true", "false", "none", "True", "False", "None", "self"];

fn is_word(part: &str) -> bool {
    part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The value that the template prints, if it is a single name, and the value is a text or a whole number.
pub(super) fn value(source: &str, context: &Jinja) -> Option<Value> {
    let mut parts = name(source)?.split('.');
    let first = context.get_attr(parts.next()?).ok()?;
    let found = parts.try_fold(first, |value, part| value.get_attr(part).ok())?;
    match found.as_str() {
        Some(text) => Some(text.into()),
        None if found.is_integer() => found.as_i64().map(Value::from),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::config::{
        checked::Check,
        problems::Problems,
        template::{Role, Templates},
    };

    proptest! {
        /// In parentheses, the engine evaluates the same expression.
        #[test]
        fn the_engine_gives_the_same(
            value in prop_oneof![
                Just(json!(null)), Just(json!({ "b": "x" })), Just(json!([1])), any::<bool>().prop_map(Value::from),
                any::<i64>().prop_map(Value::from), any::<u64>().prop_map(Value::from), any::<f64>().prop_map(Value::from),
                "(?s).{0,9}".prop_map(Value::from),
            ],
            name in prop_oneof![Just("v.a"), Just("v.a.b"), Just("v.c"), Just("v"), Just("w"), Just("v.a.length"), Just("none"), Just("v.1")],
        ) {
            let mut problems = Problems::default();
            let mut templates = Templates::new(Check::Hosts);
            let mut add = |field: &str, role, source: String| {
                templates.add(field, role, &source, &["v"], &mut problems).unwrap()
            };
            let both = [Role::Text, Role::Json].map(|role| {
                [add("plain", role, format!("{{{{ {name} }}}}")), add("engine", role, format!("{{{{ ({name}) }}}}"))]
            });
            let context = minijinja::context! { v => minijinja::Value::from(minijinja::value::Serde(json!({ "a": value }))) };
            let [text, json] = both;
            let text = text.map(|template| templates.text(&template, &context).map_err(|error| error.message));
            prop_assert_eq!(&text[0], &text[1]);
            let json = json.map(|template| {
                let json = crate::config::template::JsonTemplate::Expression(template);
                templates.json(&json, &context).map_err(|error| error.message)
            });
            prop_assert_eq!(&json[0], &json[1]);
        }
    }

    #[test]
    fn the_engine_finds_the_same_name() {
        let (mut problems, mut templates) = (Problems::default(), Templates::new(Check::Hosts));
        let words = ["v", "v.a.b", "v.1", "v._a1", "a.range", "range", "namespace.a", "loop", "super.a"];
        for name in words.iter().chain(&RESERVED).copied().chain(["true.a", "None.a"]) {
            let mut add =
                |source: &str| templates.add(source, Role::Text, source, &["v"], &mut problems).unwrap();
            let [plain, engine] =
                [format!("{{{{ {name} }}}}"), format!("{{{{ ({name}) }}}}")].map(|it| add(&it));
            assert_eq!(templates.names(&plain), templates.names(&engine), "{name}");
        }
    }

    #[test]
    fn only_a_single_name_is_looked_up() {
        let context = minijinja::context! { v => minijinja::context! { a => "x", n => 7 } };
        assert_eq!(value("{{ v.a }}", &context), Some("x".into()));
        assert_eq!(value("{{v.n}}", &context), Some(7.into()));
        for other in [
            "{{ v.a }} ",
            "{{ v.a }}{{ v.a }}",
            "{{ v.a | upper }}",
            "{{- v.a }}",
            "{{ 'v.a' }}",
            "v.a",
            "{{ v }}",
        ] {
            assert_eq!(value(other, &context), None, "{other}");
        }
    }
}
