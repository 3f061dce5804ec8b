//! `effect_id = run_id:step_id:business_key`, the name under which an effect happens once.
//!
//! It reads unambiguously from the left: a run id and a step id never hold a `:`, the business key may. It is
//! a DynamoDB sort key, and those hold at most 1,024 bytes
//! (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html>). Longer ids are
//! refused and not shortened: two keys with the same beginning would become one effect.

use std::{fmt, str::FromStr};

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

/// The lane of parked effects on the agenda. The other lanes are named by step ids, so no step can have this id.
pub const PARKED_LANE: &str = "parked";
/// Longest run id, in bytes, after escaping.
pub const MAX_RUN_ID: usize = 256;
/// Longest step id, in bytes.
pub const MAX_STEP_ID: usize = 64;
/// Longest effect id, in bytes. Below DynamoDB's 1,024, so that a record kept beside it
/// (see [`crate::effects`]) has room for a prefix.
pub const MAX_EFFECT_ID: usize = 900;
/// The longest idempotency key that Stripe takes, and the shortest limit known to us
/// (<https://docs.stripe.com/api/idempotent_requests>).
const MAX_IDEMPOTENCY_KEY: usize = 255;

/// Why a name can't be part of an effect id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The part is empty, so it could not tell effects apart.
    #[error("{part} is empty")]
    Empty {
        /// `run_id`, `step_id` or `business_key`.
        part: &'static str,
    },
    /// The part is longer than its limit.
    #[error("{part} has {len} bytes, and at most {max} fit")]
    TooLong {
        /// `run_id`, `step_id` or `effect_id`.
        part: &'static str,
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// A character that would make the effect id ambiguous or unreadable.
    #[error("{part} may not hold {found:?}")]
    Character {
        /// `run_id`, `step_id` or `effect_id`.
        part: &'static str,
        /// The first offender.
        found: char,
    },
}

/// The id of a run: the same for every delivery of the same event. All effects of the run share it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(String);

impl RunId {
    /// Takes any text, as a provider or a client sent it, and writes each byte other than an ASCII letter or digit,
    /// `.`, `_` and `-` as `~` and two hex digits. Different texts stay different, and a run id can stand in a URL as
    /// it is, whatever the proxies before us decode.
    ///
    /// # Errors
    /// Empty, or longer than [`MAX_RUN_ID`] once escaped.
    pub fn escape(raw: &str) -> Result<Self, IdError> {
        let mut id = String::with_capacity(raw.len());
        for byte in raw.bytes() {
            match char::from(byte) {
                c if is_run_id_char(c) && c != '~' => id.push(c),
                _ => id.push_str(&format!("~{byte:02X}")),
            }
        }
        Self::try_from(id)
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_run_id_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '~')
}

impl TryFrom<String> for RunId {
    type Error = IdError;

    fn try_from(id: String) -> Result<Self, IdError> {
        let part = "run_id";
        if let Some(found) = id.chars().find(|c| !is_run_id_char(*c)) {
            return Err(IdError::Character { part, found });
        }
        sized(part, &id, MAX_RUN_ID)?;
        Ok(Self(id))
    }
}

/// A step's name in `webhooks.toml`: ASCII letters, digits, `_` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StepId(String);

impl StepId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for StepId {
    type Error = IdError;

    fn try_from(id: String) -> Result<Self, IdError> {
        let part = "step_id";
        let legal = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if let Some(found) = id.chars().find(|c| !legal(c)) {
            return Err(IdError::Character { part, found });
        }
        sized(part, &id, MAX_STEP_ID)?;
        Ok(Self(id))
    }
}

fn sized(part: &'static str, text: &str, max: usize) -> Result<(), IdError> {
    match text.len() {
        0 => Err(IdError::Empty { part }),
        len if len > max => Err(IdError::TooLong { part, len, max }),
        _ => Ok(()),
    }
}

/// The name of one effect. See the [module](self).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EffectId {
    run_id: RunId,
    step_id: StepId,
    business_key: String,
}

impl EffectId {
    /// Joins the three parts.
    ///
    /// # Errors
    /// An empty business key, or more than [`MAX_EFFECT_ID`] bytes in all.
    pub fn new(run_id: RunId, step_id: StepId, business_key: String) -> Result<Self, IdError> {
        if business_key.is_empty() {
            return Err(IdError::Empty { part: "business_key" });
        }
        let id = Self { run_id, step_id, business_key };
        sized("effect_id", &id.to_string(), MAX_EFFECT_ID)?;
        Ok(id)
    }

    /// The run it belongs to.
    #[must_use]
    pub fn run_id(&self) -> &RunId {
        &self.run_id
    }

    /// The step that causes it.
    #[must_use]
    pub fn step_id(&self) -> &StepId {
        &self.step_id
    }

    /// What it is about: an order, an invoice, an issue. It also chooses the partition of the topic.
    #[must_use]
    pub fn business_key(&self) -> &str {
        &self.business_key
    }

    /// What the third party is given as `Idempotency-Key`: the effect id itself where it is a legal key
    /// (printable ASCII, at most 255 bytes), else `sha256-` and its digest in hex. The same effect always has the same key.
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        let id = self.to_string();
        let legal = id.len() <= MAX_IDEMPOTENCY_KEY && id.bytes().all(|b| b.is_ascii_graphic());
        if legal { id } else { format!("sha256-{}", hex::encode(digest(&SHA256, id.as_bytes()))) }
    }
}

impl fmt::Display for EffectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { run_id, step_id, business_key } = self;
        write!(f, "{}:{}:{business_key}", run_id.0, step_id.0)
    }
}

impl FromStr for EffectId {
    type Err = IdError;

    fn from_str(id: &str) -> Result<Self, IdError> {
        let mut parts = id.splitn(3, ':').map(str::to_owned);
        let run_id = RunId::try_from(parts.next().unwrap_or_default())?;
        let step_id = StepId::try_from(parts.next().unwrap_or_default())?;
        Self::new(run_id, step_id, parts.next().unwrap_or_default())
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.0
    }
}

impl From<StepId> for String {
    fn from(id: StepId) -> Self {
        id.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn effect(run: &str, key: &str) -> EffectId {
        let step = StepId::try_from("open_ticket".to_owned()).unwrap();
        EffectId::new(RunId::escape(run).unwrap(), step, key.to_owned()).unwrap()
    }

    #[test]
    fn a_business_key_may_hold_colons_and_any_script() {
        let id = effect("stripe.evt_1", "order:42:größe");
        assert_eq!(id.to_string(), "stripe.evt_1:open_ticket:order:42:größe");
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn an_illegal_idempotency_key_is_replaced_by_its_digest() {
        assert_eq!(effect("r", "k").idempotency_key(), "r:open_ticket:k");
        let digest = effect("r", "größe").idempotency_key();
        assert!(digest.starts_with("sha256-") && digest.len() == 71, "{digest}");
        assert!(effect("r", &"k".repeat(300)).idempotency_key().starts_with("sha256-"));
    }

    #[test]
    fn over_long_and_empty_parts_are_refused() {
        let run = RunId::escape("r").unwrap();
        let step = StepId::try_from("s".to_owned()).unwrap();
        let refused = EffectId::new(run.clone(), step.clone(), "k".repeat(MAX_EFFECT_ID));
        assert!(matches!(refused, Err(IdError::TooLong { part: "effect_id", .. })));
        assert!(EffectId::new(run, step, String::new()).is_err());
        assert!(RunId::escape("").is_err());
        assert!(RunId::escape(&"r".repeat(MAX_RUN_ID + 1)).is_err());
        assert!(StepId::try_from("open ticket".to_owned()).is_err());
    }

    proptest! {
        #[test]
        fn escaping_keeps_different_texts_different(a in ".{1,40}", b in ".{1,40}") {
            if let (Ok(x), Ok(y)) = (RunId::escape(&a), RunId::escape(&b)) {
                prop_assert_eq!(x == y, a == b);
            }
        }

        #[test]
        fn what_was_joined_comes_apart_again(run in ".{1,40}", key in "(?s).{1,80}") {
            let Ok(run) = RunId::escape(&run) else { return Ok(()) };
            let step = StepId::try_from("s".to_owned()).unwrap();
            let id = EffectId::new(run, step, key).unwrap();
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }

        #[test]
        fn parsing_never_panics(text in "(?s).{0,200}") {
            let _ = text.parse::<EffectId>();
        }
    }
}
