//! What the functions sent for one webhook, as it went over the wire, to be sent again under other ids: so the plain clients
//! write the same bytes.

use anyhow::{Context, Result};
use local::{proxy::Wire, stack::Stack};
use serde_json::Value;

/// Stands in the ids of the webhook that was recorded, and nowhere else.
pub(super) const MARK: &str = "MARK0000";

/// The requests of one fresh effect.
#[derive(Debug, Clone)]
pub(super) struct Recorded {
    produce: String,
    put: String,
    update: String,
}

impl Recorded {
    /// From a stack that has taken in and settled one webhook with [`MARK`] in its ids.
    pub(super) fn of(stack: &Stack) -> Result<Self> {
        let table = stack.table_wire()?;
        Ok(Self {
            produce: body(&stack.broker_wire, |seen| seen.path.ends_with("/produce"))?,
            put: body(table, |seen| seen.is("PutItem"))?,
            update: body(table, |seen| seen.is("UpdateItem"))?,
        })
    }

    /// The body that produces the command under another id, to that topic.
    pub(super) fn produce(&self, id: &str, topic: &str) -> Result<Value> {
        let mut body: Value = serde_json::from_str(&self.produce.replace(MARK, id))?;
        body["topic"] = topic.into();
        Ok(body)
    }

    /// The two writes of its effect.
    pub(super) fn writes(&self, id: &str) -> Result<[(&'static str, Value); 2]> {
        let write = |body: &String| serde_json::from_str(&body.replace(MARK, id));
        Ok([("PutItem", write(&self.put)?), ("UpdateItem", write(&self.update)?)])
    }
}

fn body(wire: &Wire, matches: impl Fn(&local::proxy::Seen) -> bool) -> Result<String> {
    let seen = wire.seen_where(|seen| seen.mentions(MARK) && matches(seen));
    let seen = seen.first().context("the functions did not send what was to be recorded")?;
    Ok(String::from_utf8(seen.body.to_vec())?)
}
