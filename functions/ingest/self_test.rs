//! `GET /self-test`: whether this version can work, before it gets any webhooks. It checks that each source's secrets are valid keys, that a
//! command can be signed and verified, and that the table responds. A broker that does not respond is reported but is not a failure: webhooks
//! are accepted without it.
//!
//! Only for operators: it names sources and secrets. That the function has started proves that no secret and no variable is missing.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Ingest, keys::Keys, reply::Reply};
use crate::{command_keys::CommandKeys, config::source::Source};

/// The text that is signed; it is never a message of a topic.
const PROBE: &str = r#"{"self":"test"}"#;

impl Ingest {
    /// `GET /self-test`.
    pub(super) async fn self_test(&self, now: Timestamp) -> Reply {
        let keys = self.keys.fresh(now).await;
        let problems =
            self.config.sources.values().filter_map(|source| Some((source, problem(&keys, source)?)));
        let problems: Map<String, Value> =
            problems.map(|(source, why)| (source.name.clone(), why.into())).collect();
        let signs = keys.commands().is_none_or(signs);
        let (reachable, health) = self.report().await;
        let ok = problems.is_empty() && signs && reachable;
        let sources = self.config.sources.len() - problems.len();
        let report = json!({
            "ok": ok, "sources_ready": sources, "sources_disabled": problems, "commands_signed": signs, "health": health,
        });
        Reply::Health { available: ok, report }
    }
}

/// Why a source's webhooks could not be verified.
fn problem(keys: &Keys, source: &Source) -> Option<String> {
    let unusable = keys.of(source).err().or_else(|| keys.token(source).err())?;
    Some(unusable.to_string())
}

fn signs(keys: &CommandKeys) -> bool {
    keys.verify(&keys.sign_json(PROBE.to_owned())).is_ok_and(|json| json == PROBE)
}
