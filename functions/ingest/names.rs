//! The names that ingest's templates may use (`event`, `headers` and so on), each computed only when a template uses it.

use std::sync::Arc;

use http::{HeaderMap, HeaderName};
use minijinja::{
    Value as Jinja,
    value::{Enumerator, Object, Serde},
};
use serde_json::{Map, Value};

use super::document::{Document, view};

/// A webhook's values for templates.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) headers: Arc<Headers>,
    pub(super) source: String,
    pub(super) event_type: String,
    /// Only if a template may use it: it takes a pass over the body.
    pub(super) digest: Option<String>,
    pub(super) event_id: Option<String>,
    pub(super) event: Option<Arc<Document>>,
    pub(super) form: Option<Map<String, Value>>,
}

/// Headers by lower-case name. Repeated lines are joined with commas, as format 2.0 does anyway.
#[derive(Debug)]
pub(super) struct Headers(pub(super) HeaderMap);

impl Object for Names {
    fn get_value(self: &Arc<Self>, name: &Jinja) -> Option<Jinja> {
        self.get_value_by_str(name.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, name: &str) -> Option<Jinja> {
        match name {
            "headers" => Some(Jinja::from_dyn_object(Arc::clone(&self.headers))),
            "source" => Some(Jinja::from(self.source.as_str())),
            "event_type" => Some(Jinja::from(self.event_type.as_str())),
            "digest" => self.digest.as_deref().map(Jinja::from),
            "event_id" => self.event_id.as_deref().map(Jinja::from),
            "event" => self.event.clone().map(view),
            "form" => self.form.as_ref().map(|fields| Jinja::from(Serde(fields))),
            _ => None,
        }
    }
}

impl Object for Headers {
    fn get_value(self: &Arc<Self>, name: &Jinja) -> Option<Jinja> {
        self.get_value_by_str(name.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, name: &str) -> Option<Jinja> {
        let name =
            HeaderName::from_lowercase(name.as_bytes()).ok().filter(|name| self.0.contains_key(name))?;
        let lines = self.0.get_all(name).iter();
        let lines: Vec<_> = lines.map(|line| String::from_utf8_lossy(line.as_bytes())).collect();
        Some(Jinja::from(lines.join(",")))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let mut names: Vec<_> = self.0.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        Enumerator::Values(names.into_iter().map(Jinja::from).collect())
    }
}

#[cfg(test)]
mod tests {
    use minijinja::{Environment, context};

    use super::*;

    #[test]
    fn headers_are_found_by_their_names_in_lower_case_and_listed_in_order() {
        let mut headers = HeaderMap::new();
        for (name, value) in [("x-b", "2"), ("x-a", "1"), ("x-b", "3")] {
            headers.append(name, value.parse().unwrap());
        }
        let context = context! { headers => Jinja::from_object(Headers(headers)) };
        let render = |template| Environment::new().render_str(template, &context).unwrap();
        assert_eq!(render("{{ headers['x-b'] }} {{ headers['X-B'] is defined }}"), "2,3 False");
        assert_eq!(render("{{ headers | length }} {{ headers }}"), "2 {'x-a': '1', 'x-b': '2,3'}");
    }
}
