//! A document as templates see it, without a copy. Templates use a few fields of an event of some kilobytes, so converting it to the engine's
//! own values would cost more than all rendering.

use std::{collections::BTreeSet, sync::Arc};

use minijinja::{
    Value as Jinja,
    value::{Enumerator, Object, ObjectRepr},
};

use super::{Document, Node};

/// A list or an object of a document.
#[derive(Debug)]
struct Inside {
    document: Arc<Document>,
    at: usize,
}

/// A document for templates.
pub(in crate::ingest) fn view(document: Arc<Document>) -> Jinja {
    at(&document, 0)
}

fn at(document: &Arc<Document>, at: usize) -> Jinja {
    match &document.nodes[at] {
        Node::Null => Jinja::from(()),
        Node::Bool(value) => Jinja::from(*value),
        Node::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(number), ..) => Jinja::from(number),
            (None, Some(number), _) => Jinja::from(number),
            (None, None, number) => Jinja::from(number),
        },
        Node::Part(_) | Node::Text(_) => Jinja::from(document.text(at)),
        Node::List(_) | Node::Object(_) => Jinja::from_object(Inside { document: Arc::clone(document), at }),
    }
}

impl Inside {
    fn is_list(&self) -> bool {
        matches!(self.document.nodes[self.at], Node::List(_))
    }
}

impl Object for Inside {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        if self.is_list() { ObjectRepr::Seq } else { ObjectRepr::Map }
    }

    fn get_value(self: &Arc<Self>, key: &Jinja) -> Option<Jinja> {
        if let Some(name) = key.as_str() {
            return self.get_value_by_str(name);
        }
        let item = self.document.items(self.at).nth(key.as_usize()?)?;
        Some(at(&self.document, item))
    }

    fn get_value_by_str(self: &Arc<Self>, name: &str) -> Option<Jinja> {
        Some(at(&self.document, self.document.field(self.at, name)?))
    }

    /// Fields in the order of their names, as in a map.
    fn enumerate(self: &Arc<Self>) -> Enumerator {
        if self.is_list() {
            return Enumerator::Seq(self.document.items(self.at).count());
        }
        let names: BTreeSet<_> = self.document.fields(self.at).map(|(name, _)| name).collect();
        Enumerator::Values(names.into_iter().map(Jinja::from).collect())
    }
}

#[cfg(test)]
mod tests {
    use minijinja::{Environment, context, value::Serde};
    use proptest::prelude::*;
    use serde_json::{Value, json};

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
            let (ours, theirs) = (view(Document::of(&json).into()), Jinja::from(Serde(&json)));
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
        let context = context! { v => view(Document::of(&json).into()) };
        assert_eq!(environment.render_str("{{ v.a[0].b[1].c }}", context).unwrap(), "x");
    }
}
