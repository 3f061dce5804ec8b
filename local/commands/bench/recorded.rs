//! What the functions sent for one webhook, as it went over the wire, to be sent again under other ids: so the plain clients
//! write the same bytes.

use anyhow::{Context, Result};
use local::{proxy::Wire, stack::Stack};
use serde_json::Value;

/// The requests of one fresh effect.
#[derive(Debug, Clone)]
pub(super) struct Recorded {
    /// Stands in the ids of the webhook that was recorded, and nowhere else.
    mark: String,
    produce: String,
    /// A put and an update; none if the table is one that takes only what is signed.
    writes: Option<[String; 2]>,
}

impl Recorded {
    /// From a stack that has taken in and settled one webhook with that in its ids.
    pub(super) fn of(stack: &Stack, mark: &str) -> Result<Self> {
        let produce = body(&stack.broker_wire, mark, |seen| seen.path.ends_with("/produce"))?;
        let writes = match &stack.table_wire {
            Some(table) => Some([
                body(table, mark, |seen| seen.is("PutItem"))?,
                body(table, mark, |seen| seen.is("UpdateItem"))?,
            ]),
            None => None,
        };
        Ok(Self { mark: mark.to_owned(), produce, writes })
    }

    /// The body that produces the command under another id, to that topic.
    pub(super) fn produce(&self, id: &str, topic: &str) -> Result<Value> {
        let mut body = self.renamed(&self.produce, id)?;
        body["topic"] = topic.into();
        Ok(body)
    }

    /// The two writes of its effect.
    pub(super) fn writes(&self, id: &str) -> Result<[(&'static str, Value); 2]> {
        let [put, update] = self.writes.as_ref().context("EFFECTS_TABLE takes no plain writes")?;
        Ok([("PutItem", self.renamed(put, id)?), ("UpdateItem", self.renamed(update, id)?)])
    }

    fn renamed(&self, body: &str, id: &str) -> Result<Value> {
        Ok(serde_json::from_str(&body.replace(&self.mark, id))?)
    }
}

fn body(wire: &Wire, mark: &str, matches: impl Fn(&local::proxy::Seen) -> bool) -> Result<String> {
    let seen = wire.seen_where(|seen| seen.mentions(mark) && matches(seen));
    let seen = seen.first().context("the functions did not send what was to be recorded")?;
    Ok(String::from_utf8(seen.body.to_vec())?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_recorded_is_sent_under_another_id_to_another_topic() {
        let produce =
            json!({ "topic": "t", "key": "du_MARK", "value": "{\"run_id\":\"evt_MARK\"}" }).to_string();
        let mut recorded = Recorded { mark: "MARK".into(), produce, writes: None };
        let expected = json!({ "topic": "u", "key": "du_7", "value": "{\"run_id\":\"evt_7\"}" });
        assert_eq!(recorded.produce("7", "u").unwrap(), expected);
        assert!(recorded.writes("7").is_err(), "there is nothing to write");
        recorded.writes = Some([r#"{"Item":"MARK"}"#.into(), r#"{"Key":"MARK"}"#.into()]);
        let expected = [("PutItem", json!({ "Item": "7" })), ("UpdateItem", json!({ "Key": "7" }))];
        assert_eq!(recorded.writes("7").unwrap(), expected);
    }
}
