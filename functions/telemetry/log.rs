//! Log lines: one flat JSON object per event, with its own fields and those of all enclosing spans.
//!
//! A span's fields are written as JSON once, when it begins, and copied into each line. There are crates that do the same over maps of values;
//! they took a tenth of the work for a webhook.

use std::{fmt::Debug, io::Write};

use jiff::Timestamp;
use serde::Serialize;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

/// Writes each line to what this function returns.
pub(super) struct JsonLines<F>(pub(super) F);

/// The members of a JSON object, in the order in which they were added.
#[derive(Debug, Default)]
struct Members {
    /// As in the object, without its braces.
    json: Vec<u8>,
    /// The name of each, and where it ends in `json`.
    ends: Vec<(&'static str, usize)>,
}

impl Members {
    fn add<V: Serialize + ?Sized>(&mut self, name: &'static str, value: &V) {
        let name = name.trim_start_matches("r#");
        self.json.extend_from_slice(if self.json.is_empty() { b"\"" } else { b",\"" });
        // A name in Rust's code: nothing in it has to be escaped.
        self.json.extend_from_slice(name.as_bytes());
        self.json.extend_from_slice(b"\":");
        // Err: never, for texts and numbers.
        drop(serde_json::to_writer(&mut self.json, value));
        self.ends.push((name, self.json.len()));
    }

    /// Adds the members whose names are not there yet. Of several with the same name, the last one is added.
    fn add_missing(&mut self, others: &Self) {
        for (at, (name, end)) in others.ends.iter().enumerate().rev() {
            if self.ends.iter().any(|(known, _)| known == name) {
                continue;
            }
            let start = at.checked_sub(1).map_or(0, |before| others.ends[before].1);
            let member = &others.json[start..*end];
            self.json.push(b',');
            self.json.extend_from_slice(member.strip_prefix(b",").unwrap_or(member));
            self.ends.push((name, self.json.len()));
        }
    }
}

impl Visit for Members {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field.name(), &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field.name(), &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field.name(), &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field.name(), &value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field.name(), &format_args!("{value:?}"));
    }
}

impl<S, F, W> Layer<S> for JsonLines<F>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    F: Fn() -> W + 'static,
    W: Write,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut members = Members::default();
        members.add("name", attributes.metadata().name());
        attributes.record(&mut members);
        span.extensions_mut().insert(members);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(members) = span.extensions_mut().get_mut::<Members>() {
            values.record(members);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut line = Members { json: Vec::with_capacity(512), ends: Vec::with_capacity(16) };
        line.add("timestamp", &format_args!("{:.6}", Timestamp::now()));
        line.add("level", event.metadata().level().as_str());
        event.record(&mut line);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(members) = span.extensions().get::<Members>() {
                line.add_missing(members);
            }
        }
        let mut json = line.json;
        json.insert(0, b'{');
        json.extend_from_slice(b"}\n");
        // In one write, so that lines do not interleave. There is nowhere to report a failure to.
        drop((self.0)().write_all(&json));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};
    use tracing_subscriber::{layer::SubscriberExt as _, registry::Registry};

    use super::*;

    /// The lines that `work` logs, without their times.
    fn lines(work: impl FnOnce()) -> Vec<Value> {
        #[derive(Clone, Default)]
        struct Shared(Arc<Mutex<Vec<u8>>>);
        impl Write for Shared {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().write(bytes)
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let shared = Shared::default();
        let written = shared.clone();
        let layer = JsonLines(move || written.clone());
        tracing::subscriber::with_default(Registry::default().with(layer), work);
        let text = String::from_utf8(shared.0.lock().unwrap().clone()).unwrap();
        let line = |line: &str| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            let time = line.as_object_mut().unwrap().remove("timestamp").unwrap();
            assert!(time.as_str().unwrap().parse::<Timestamp>().is_ok(), "{time}");
            line
        };
        text.lines().map(line).collect()
    }

    #[test]
    fn a_line_has_its_own_fields_and_those_of_all_spans() {
        let lines = lines(|| {
            let outer = tracing::info_span!("outer", source = "a \"b\"\n", part = 1);
            let inner =
                tracing::info_span!(parent: &outer, "inner", part = 2, attempt = tracing::field::Empty);
            inner.in_scope(
                || tracing::info!(outcome = "ok", ms = 7, id = None::<&str>, error = %"no", "done"),
            );
            inner.record("attempt", 1);
            inner.record("attempt", 2);
            inner.in_scope(|| tracing::warn!(part = 3, ratio = 0.5, is = true, "again"));
            tracing::error!("alone");
        });
        let first = json!({
            "level": "INFO", "message": "done", "outcome": "ok", "ms": 7, "error": "no",
            "name": "inner", "part": 2, "source": "a \"b\"\n",
        });
        let second = json!({
            "level": "WARN", "message": "again", "ratio": 0.5, "is": true, "part": 3,
            "name": "inner", "attempt": 2, "source": "a \"b\"\n",
        });
        assert_eq!(lines, [first, second, json!({ "level": "ERROR", "message": "alone" })]);
    }

    #[test]
    fn a_name_is_in_a_line_once() {
        let members = |names: &[&'static str]| {
            let mut members = Members::default();
            names.iter().for_each(|name| members.add(name, &members.ends.len()));
            members
        };
        let mut line = members(&["a", "b"]);
        line.add_missing(&members(&["c", "a", "c"]));
        assert_eq!(String::from_utf8(line.json).unwrap(), r#""a":0,"b":1,"c":2"#);
    }
}
