//! A view of JSON for templates, without a copy. Templates use a few fields of an event of some kilobytes, so converting it to the engine's
//! own values would cost more than all rendering.

use std::sync::Arc;

use minijinja::{
    Value as Jinja,
    value::{Enumerator, Object, ObjectRepr},
};
use serde_json::Value;

/// An array or an object inside a JSON value.
#[derive(Debug)]
struct Inside {
    root: Arc<Value>,
    path: Vec<Key>,
}

#[derive(Debug, Clone)]
enum Key {
    Field(Arc<str>),
    Index(usize),
}

/// A view of a JSON value for templates.
pub(crate) fn view(root: Arc<Value>) -> Jinja {
    scalar(&root).unwrap_or_else(|| Jinja::from_object(Inside { root, path: Vec::new() }))
}

fn scalar(value: &Value) -> Option<Jinja> {
    Some(match value {
        Value::Null => Jinja::from(()),
        Value::Bool(value) => Jinja::from(*value),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => Jinja::from(number),
            (None, Some(number)) => Jinja::from(number),
            (None, None) => Jinja::from(number.as_f64()?),
        },
        Value::String(text) => Jinja::from(text.as_str()),
        Value::Array(_) | Value::Object(_) => return None,
    })
}

impl Inside {
    fn value(&self) -> &Value {
        self.path.iter().fold(&*self.root, |value, key| match key {
            Key::Field(name) => &value[&**name],
            Key::Index(index) => &value[*index],
        })
    }

    fn child(&self, value: &Value, key: impl FnOnce() -> Key) -> Jinja {
        scalar(value).unwrap_or_else(|| {
            let path = self.path.iter().cloned().chain([key()]).collect();
            Jinja::from_object(Self { root: Arc::clone(&self.root), path })
        })
    }
}

impl Object for Inside {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        if self.value().is_array() { ObjectRepr::Seq } else { ObjectRepr::Map }
    }

    fn get_value(self: &Arc<Self>, key: &Jinja) -> Option<Jinja> {
        if let Some(name) = key.as_str() {
            return self.get_value_by_str(name);
        }
        let index = key.as_usize()?;
        Some(self.child(self.value().as_array()?.get(index)?, || Key::Index(index)))
    }

    fn get_value_by_str(self: &Arc<Self>, name: &str) -> Option<Jinja> {
        Some(self.child(self.value().as_object()?.get(name)?, || Key::Field(name.into())))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        match self.value() {
            Value::Array(items) => Enumerator::Seq(items.len()),
            Value::Object(fields) => {
                Enumerator::Values(fields.keys().map(|name| Jinja::from(name.as_str())).collect())
            }
            _ => Enumerator::Empty,
        }
    }
}

#[cfg(test)]
mod tests {
    use minijinja::{Environment, context, value::Serde};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "(?s).{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[abc]", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// For every template operation, the view gives the same result as the engine's own value of the same JSON.
        #[test]
        fn it_looks_like_the_engines_own_tree(json in any_json()) {
            let (ours, theirs) = (view(Arc::new(json.clone())), Jinja::from(Serde(&json)));
            prop_assert_eq!(serde_json::to_value(&ours).unwrap(), serde_json::to_value(&theirs).unwrap());
            prop_assert_eq!((ours.kind(), ours.is_true(), ours.len()), (theirs.kind(), theirs.is_true(), theirs.len()));
            prop_assert_eq!(&ours, &theirs);
            let environment = Environment::new();
            for template in [
                "{{ v }}", "{{ v | tojson }}", "{{ v.a.b }}", "{{ v['a'] }}", "{{ v[0] }}", "{{ v[-1] }}", "{{ v[1:] }}",
                "{% for x in v %}{{ loop.index }}{{ x }}{% endfor %}", "{{ v | length }}", "{{ v | items }}",
                "{{ 'a' in v }}", "{{ v == w }}", "{{ v.b is mapping }}", "{{ v | first }}", "{{ v | sort }}", "{{ v | dictsort }}",
            ] {
                let render = |v: &Jinja| {
                    let rendered = environment.render_str(template, context! { v => v, w => &theirs });
                    rendered.map_err(|error| (error.kind(), error.detail().map(str::to_owned)))
                };
                prop_assert_eq!(render(&ours), render(&theirs), "{}", template);
            }
        }
    }

    #[test]
    fn a_field_within_an_array_is_found() {
        let json = json!({ "a": [{ "b": [1, { "c": "x" }] }] });
        let environment = Environment::new();
        let context = context! { v => view(Arc::new(json)) };
        assert_eq!(environment.render_str("{{ v.a[0].b[1].c }}", context).unwrap(), "x");
    }
}
