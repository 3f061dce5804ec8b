//! The headers and parameters of an event, each as single values or as lists.

use std::collections::BTreeMap;

use lambda_http::http::{HeaderMap, HeaderName, HeaderValue};

use super::{Malformed, format::EventFormat};
use crate::ingest::query::{Parameters, Query};

#[derive(Debug)]
pub(super) struct Tables {
    pub(super) headers: Option<BTreeMap<String, String>>,
    pub(super) multi_value_headers: Option<BTreeMap<String, Vec<String>>>,
    pub(super) query_string_parameters: Option<BTreeMap<String, String>>,
    pub(super) multi_value_query_string_parameters: Option<Parameters>,
}

impl Tables {
    /// Whether repeated headers are lists.
    pub(super) fn lists(&self) -> bool {
        self.multi_value_headers.is_some()
    }

    /// The header lines, from the table in which repeated headers are lists, if there is one. An invalid name or value is an error: if it were
    /// left out, the remaining lines would look complete.
    pub(super) fn header_lines(&self) -> Result<HeaderMap, Malformed> {
        let lists = self.multi_value_headers.iter().flatten();
        let lists = lists.flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
        let single = self.headers.iter().flatten().filter(|_| !self.lists());
        let mut lines = HeaderMap::new();
        for (name, value) in lists.chain(single) {
            let name: HeaderName = name.parse().map_err(|_| Malformed::Header)?;
            let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| Malformed::Header)?;
            lines.try_append(name, value).map_err(|_| Malformed::Header)?;
        }
        Ok(lines)
    }

    /// The query. Load balancers leave parameters encoded.
    pub(super) fn query(self, format: EventFormat) -> Query {
        let single = self.query_string_parameters.into_iter().flatten();
        let single = || single.map(|(name, value)| (name, vec![value])).collect();
        let parameters = self.multi_value_query_string_parameters.unwrap_or_else(single);
        match format {
            EventFormat::LoadBalancer => Query::of_encoded(&parameters),
            EventFormat::Format1 | EventFormat::Format2 => Query::of_decoded(&parameters),
        }
    }
}
