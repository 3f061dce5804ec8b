//! The arguments of a request, in a JSON body or, without a body, in the query.
//!
//! Produce has its own file.

use jiff::SignedDuration;

use super::group::DEFAULT_LEASE;
use super::parity::go_json::{self, Fields, Struct, Type};
use super::parity::json_text::Value;
use super::state::Receipt;

/// A request's arguments, before parsing.
pub(super) enum Arguments {
    Json(Vec<u8>),
    Query(Query),
}

/// The parameters of a query string. Unknown ones are ignored.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Parses as Go does: a parameter with a `;`, or with an invalid `%` escape, is dropped.
    pub(super) fn parse(query: &str) -> Self {
        let sound = |pair: &&str| !pair.contains(';') && pair.split('%').skip(1).all(escapes);
        let pairs = query.split('&').filter(sound);
        Self(pairs.flat_map(|pair| url::form_urlencoded::parse(pair.as_bytes()).into_owned()).collect())
    }

    pub(super) fn raw(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    pub(super) fn get(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// An integer, `None` if it is not given.
    pub(super) fn integer<N: std::str::FromStr>(&self, name: &str) -> Result<Option<N>, String> {
        match self.get(name) {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| format!("invalid {name}")),
        }
    }
}

fn escapes(after_percent: &str) -> bool {
    after_percent.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2
}

fn bad_body(error: String) -> String {
    format!("invalid json body: {error}")
}

const TOPICS_CREATE_REQUEST: Struct = Struct {
    name: "TopicsCreateRequest",
    fields: &[("name", Type::String), ("partitions", Type::Integer("int"))],
};

/// `POST /v1/topics`: the name and the number of partitions.
pub(super) fn create_topic(arguments: &Arguments) -> Result<(String, usize), String> {
    let (name, partitions) = match arguments {
        Arguments::Json(body) => {
            let mut fields = decode(body, &TOPICS_CREATE_REQUEST)?;
            (fields.string("name"), fields.integer("partitions"))
        }
        Arguments::Query(query) => (query.raw("name").to_owned(), query.integer("partitions")?),
    };
    let name = name.trim();
    if name.is_empty() {
        return Err("name is required".to_owned());
    }
    match usize::try_from(partitions.unwrap_or(0)) {
        Ok(partitions) => Ok((name.to_owned(), partitions.max(1))),
        Err(_) => Err("invalid partitions".to_owned()),
    }
}

/// Reads a JSON body, its errors worded as the real broker words them.
pub(super) fn decode(body: &[u8], into: &Struct) -> Result<Fields, String> {
    go_json::decode(body, into).map_err(bad_body)
}

const CONSUME_REQUEST: Struct = Struct {
    name: "ConsumeRequest",
    fields: &[
        ("topic", Type::String),
        ("group", Type::String),
        ("owner", Type::String),
        ("lease_ms", Type::Integer("int64")),
    ],
};

/// What a consumer asks for.
pub(super) struct Consume {
    pub(super) topic: String,
    pub(super) group: String,
    pub(super) owner: String,
    pub(super) lease: SignedDuration,
}

/// `GET /v1/consume`, by query or, unusually, by a JSON body.
pub(super) fn consume(arguments: &Arguments) -> Result<Consume, String> {
    let (topic, group, owner, lease_ms) = match arguments {
        Arguments::Json(body) => {
            let mut fields = decode(body, &CONSUME_REQUEST)?;
            let lease_ms = fields.integer("lease_ms");
            (fields.string("topic"), fields.string("group"), fields.string("owner"), lease_ms)
        }
        Arguments::Query(query) => {
            let lease_ms = query.integer("lease_ms")?;
            let text = |name| query.raw(name).to_owned();
            (text("topic"), text("group"), text("owner"), lease_ms)
        }
    };
    let [topic, group, owner] = named([&topic, &group, &owner])?;
    match lease_ms.unwrap_or(0) {
        ..0 => Err("invalid lease_ms".to_owned()),
        0 => Ok(Consume { topic, group, owner, lease: DEFAULT_LEASE }),
        ms => Ok(Consume { topic, group, owner, lease: SignedDuration::from_millis(ms) }),
    }
}

fn named(names: [&str; 3]) -> Result<[String; 3], String> {
    let names = names.map(|name| name.trim().to_owned());
    if names.iter().any(String::is_empty) {
        return Err("topic, group, and owner are required".to_owned());
    }
    Ok(names)
}

/// `POST /v1/ack` and `POST /v1/nack`, which also has a `reason`. Their bodies are decoded differently: another text for an unknown field, and
/// values that are not strings count as missing.
pub(super) fn receipt(arguments: &Arguments, known: &[&str]) -> Result<(Receipt, String), String> {
    let (topic, group, owner, reason, partition, offset) = match arguments {
        Arguments::Json(body) => {
            let fields = go_json::decode_map(body).map_err(bad_body)?;
            if let Some(unknown) = fields.keys().find(|field| !known.contains(&field.as_str())) {
                return Err(format!("unknown field: {unknown}"));
            }
            let text = |name: &str| match fields.get(name) {
                Some(Value::String(string)) => string.text.clone(),
                _ => String::new(),
            };
            let number = |name: &str| match fields.get(name) {
                None | Some(Value::Null) => Ok(0),
                Some(Value::Number(text)) if text.parse::<i64>().is_ok() => {
                    Ok(text.parse().unwrap_or_default())
                }
                Some(_) => Err(format!("invalid {name}")),
            };
            let (partition, offset) = (number("partition")?, number("offset")?);
            (text("topic"), text("group"), text("owner"), text("reason"), partition, offset)
        }
        Arguments::Query(query) => {
            if query.get("partition").is_empty() || query.get("offset").is_empty() {
                return Err("partition and offset are required".to_owned());
            }
            let partition: Option<i32> = query.integer("partition")?;
            let (partition, offset) =
                (i64::from(partition.unwrap_or(0)), query.integer("offset")?.unwrap_or(0));
            let text = |name| query.raw(name).to_owned();
            (text("topic"), text("group"), text("owner"), text("reason"), partition, offset)
        }
    };
    let [topic, group, owner] = named([&topic, &group, &owner])?;
    Ok((Receipt { topic, group, owner, partition, offset }, reason.trim().to_owned()))
}
