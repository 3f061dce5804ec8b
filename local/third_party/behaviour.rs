//! Behaviours of the third party.

use std::time::Duration;

use crate::{hook::Hook, http::Answer};

/// The handling of one call: whether it is applied, which hook runs, and the response.
#[derive(Debug, Clone)]
pub struct Behaviour {
    pub(super) applies: bool,
    pub(super) hook: Option<Hook>,
    pub(super) reply: Reply,
}

#[derive(Debug, Clone)]
pub(super) enum Reply {
    /// 200 and `{"id":"tp_<n>","ok":true}`.
    Receipt,
    Answer(Answer),
    /// 200 and the receipt of the call whose key the query names, or 404.
    LookUp,
    Cut,
    Hang,
    /// The call is processed for this long, whether or not the caller still waits.
    Late(Duration),
}

impl Behaviour {
    /// Applies the call and answers 200 with a receipt.
    #[must_use]
    pub fn apply() -> Self {
        Self { applies: true, hook: None, reply: Reply::Receipt }
    }

    /// Applies nothing and sends this response.
    #[must_use]
    pub fn answer(answer: Answer) -> Self {
        Self { applies: false, hook: None, reply: Reply::Answer(answer) }
    }

    /// Applies nothing and responds from the ledger: 200 and the receipt of the applied call with the key in the query's `key`, or 404.
    #[must_use]
    pub fn look_up() -> Self {
        Self { applies: false, hook: None, reply: Reply::LookUp }
    }

    /// Applies nothing and responds with this status.
    #[must_use]
    pub fn refuse(status: u16) -> Self {
        Self::answer(Answer::of_json(status, &serde_json::json!({ "error": "refused" })))
    }

    /// Applies nothing: 429 with `Retry-After`.
    #[must_use]
    pub fn too_many(retry_after: &str) -> Self {
        Self::answer(Answer::status(429).with("retry-after", retry_after))
    }

    /// Applies nothing and redirects.
    #[must_use]
    pub fn redirect(location: &str) -> Self {
        Self::answer(Answer::status(307).with("location", location))
    }

    /// Applies nothing and cuts the connection.
    #[must_use]
    pub fn cut() -> Self {
        Self { applies: false, hook: None, reply: Reply::Cut }
    }

    /// Applies nothing and never responds.
    #[must_use]
    pub fn hang() -> Self {
        Self { applies: false, hook: None, reply: Reply::Hang }
    }

    /// Never responds, and applies the call after this delay, whether or not the caller still waits.
    #[must_use]
    pub fn apply_late(after: Duration) -> Self {
        Self { applies: true, hook: None, reply: Reply::Late(after) }
    }

    /// The same behaviour, but the call is applied first: a 500, a lost connection or a timeout that hides a success.
    #[must_use]
    pub fn after_applying(self) -> Self {
        Self { applies: true, ..self }
    }

    /// The same behaviour, but the hook runs before the response, and after the call has been applied if it is.
    #[must_use]
    pub fn with_hook(self, hook: Hook) -> Self {
        Self { hook: Some(hook), ..self }
    }
}
