//! The requests that the functions sent for one webhook, as they went over the proxy, to be sent again under other ids. So
//! the plain clients write the same bytes.

use anyhow::{Context, Result, anyhow};
use local::{
    command,
    proxy::{FaultProxy, Seen},
    stack::Stack,
};
use serde_json::{Value, json};

/// The step that the recorded webhook starts.
pub(in crate::commands) const STEP: &str = "open_ticket";
/// A step like it, with a third party of its own. No webhook starts it.
pub(super) const NEIGHBOUR: &str = "open_ticket_next_door";
/// The business key that all hot commands share.
pub(super) const HOT_KEY: &str = "du_hot";
const NO_PLAIN_WRITES: &str = "EFFECTS_TABLE takes no plain writes";

/// Which command to make from the recorded one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The recorded command.
    Ticket,
    /// For the neighbour's step.
    Neighbour,
    /// With the hot key.
    Hot,
}

/// The requests of one fresh effect.
#[derive(Debug, Clone)]
pub(super) struct Recorded {
    /// A text in the ids of the recorded webhook, and nowhere else.
    mark: String,
    produce: String,
    /// A put and an update; none if the table takes only signed requests.
    writes: Option<[String; 2]>,
    deferred: Option<Deferred>,
}

/// The requests of an effect that the broker refused.
#[derive(Debug, Clone)]
struct Deferred {
    /// The put of ingest.
    put: String,
    /// The two updates of the consumer, when it was due.
    writes: [String; 2],
}

impl Recorded {
    /// Takes the requests from a stack that has accepted and settled one webhook with `mark` in its ids.
    pub(super) fn of(stack: &Stack, mark: &str) -> Result<Self> {
        let produce = body(&stack.broker_proxy, mark, |seen| seen.path.ends_with("/produce"))?;
        let writes = match &stack.table_proxy {
            Some(table) => Some([
                body(table, mark, |seen| seen.is("PutItem"))?,
                body(table, mark, |seen| seen.is("UpdateItem"))?,
            ]),
            None => None,
        };
        Ok(Self { mark: mark.to_owned(), produce, writes, deferred: None })
    }

    /// Adds the requests of a stack that has settled one webhook whose command the broker refused, with `mark` in its ids.
    pub(super) fn with_deferred(self, stack: &Stack, mark: &str) -> Result<Self> {
        let Some(table) = &stack.table_proxy else { return Ok(self) };
        let renamed = |body: String| body.replace(mark, &self.mark);
        let put = renamed(body(table, mark, |seen| seen.is("PutItem"))?);
        let updates = bodies(table, mark, |seen| seen.is("UpdateItem"))?;
        let writes: [String; 2] = updates.try_into().map_err(|other: Vec<_>| {
            anyhow!("the consumer made {} updates for what was due, not two", other.len())
        })?;
        Ok(Self { deferred: Some(Deferred { put, writes: writes.map(renamed) }), ..self })
    }

    /// The body that produces the command under another id, to that topic.
    pub(super) fn produce(&self, id: &str, topic: &str) -> Result<Value> {
        let mut body = command::fitted(&self.renamed(&self.produce, id)?)?;
        body["topic"] = topic.into();
        Ok(body)
    }

    /// The two writes of the effect with this id.
    pub(super) fn writes(&self, id: &str) -> Result<[(&'static str, Value); 2]> {
        let [put, update] = self.writes.as_ref().context(NO_PLAIN_WRITES)?;
        Ok([("PutItem", self.renamed(put, id)?), ("UpdateItem", self.renamed(update, id)?)])
    }

    /// The two writes of the effect with this id, once it is due.
    pub(super) fn due_writes(&self, id: &str) -> Result<[(&'static str, Value); 2]> {
        let [claim, commit] = &self.deferred.as_ref().context(NO_PLAIN_WRITES)?.writes;
        Ok([("UpdateItem", self.renamed(claim, id)?), ("UpdateItem", self.renamed(commit, id)?)])
    }

    /// Whether [`Recorded::due`] can return an item.
    pub(super) fn has_deferred(&self) -> bool {
        self.deferred.is_some()
    }

    /// As [`Recorded::produce`], of that kind.
    pub(super) fn produce_as(&self, kind: Kind, id: &str, topic: &str) -> Result<Value> {
        command::fitted(&kind.of(&self.produce(id, topic)?, id)?)
    }

    /// The item of a command that is due at that time, in milliseconds since 1970.
    pub(super) fn due(&self, kind: Kind, id: &str, at_ms: i64) -> Result<Value> {
        let deferred = self.deferred.as_ref().context(NO_PLAIN_WRITES)?;
        let mut item = kind.of(&self.renamed(&deferred.put, id)?["Item"], id)?;
        item["due_at"] = json!({ "N": at_ms.to_string() });
        Ok(item)
    }

    fn renamed(&self, body: &str, id: &str) -> Result<Value> {
        Ok(serde_json::from_str(&body.replace(&self.mark, id))?)
    }
}

impl Kind {
    fn of(self, body: &Value, id: &str) -> Result<Value> {
        let text = body.to_string();
        let text = match self {
            Self::Ticket => text,
            Self::Neighbour => text.replace(STEP, NEIGHBOUR),
            Self::Hot => text.replace(&format!("du_{id}"), HOT_KEY),
        };
        Ok(serde_json::from_str(&text)?)
    }
}

fn body(proxy: &FaultProxy, mark: &str, matches: impl Fn(&Seen) -> bool) -> Result<String> {
    let first = bodies(proxy, mark, matches)?.into_iter().next();
    first.context("the functions did not send what was to be recorded")
}

fn bodies(proxy: &FaultProxy, mark: &str, matches: impl Fn(&Seen) -> bool) -> Result<Vec<String>> {
    let seen = proxy.seen_where(|seen| seen.mentions(mark) && matches(seen));
    seen.into_iter().map(|seen| Ok(String::from_utf8(seen.body.to_vec())?)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_recorded_is_sent_under_another_id_to_another_topic() {
        let produce =
            json!({ "topic": "t", "key": "du_MARK", "value": "{\"run_id\":\"evt_MARK\"}" }).to_string();
        let mut recorded = Recorded { mark: "MARK".into(), produce, writes: None, deferred: None };
        let produced = recorded.produce("7", "u").unwrap();
        assert_eq!((&produced["topic"], &produced["key"]), (&json!("u"), &json!("du_7")));
        assert_eq!(command::of(&produced).unwrap(), json!({ "run_id": "evt_7" }));
        assert!(recorded.writes("7").is_err(), "there is nothing to write");
        recorded.writes = Some([r#"{"Item":"MARK"}"#.into(), r#"{"Key":"MARK"}"#.into()]);
        let expected = [("PutItem", json!({ "Item": "7" })), ("UpdateItem", json!({ "Key": "7" }))];
        assert_eq!(recorded.writes("7").unwrap(), expected);
        let put = json!({ "Item": { "effect_id": { "S": "evt_MARK:open_ticket:du_MARK" }, "due_at": { "N": "1" } } });
        let writes = [r#"{"Key":"MARK"}"#.into(), r#"{"Key":["MARK"]}"#.into()];
        recorded.deferred = Some(Deferred { put: put.to_string(), writes });
        let expected = [("UpdateItem", json!({ "Key": "7" })), ("UpdateItem", json!({ "Key": ["7"] }))];
        assert_eq!(recorded.due_writes("7").unwrap(), expected);
        let due = |kind| recorded.due(kind, "7", 9).unwrap()["effect_id"]["S"].take();
        assert_eq!(due(Kind::Hot), "evt_7:open_ticket:du_hot");
        assert_eq!(due(Kind::Neighbour), "evt_7:open_ticket_next_door:du_7");
        assert_eq!(recorded.due(Kind::Ticket, "7", 9).unwrap()["due_at"]["N"], "9");
    }
}
