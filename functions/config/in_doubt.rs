//! `in_doubt`: what to do when it is unknown whether a call was applied. There is no default, since none is safe.

use std::time::Duration;

use super::{
    auth::Auth,
    call::{ANSWER_SCOPE, call_scope, read_condition, read_receipt, read_timeout},
    problems::Problems,
    section::Section,
    span::Span,
    template::{JsonTemplate, Template, Templates},
    url_template::UrlTemplate,
};

const EXPECTED: &str = "in_doubt = { policy = \"same-key\", window = \"24h\" }, { policy = \"look-up\", url = …, found = …, not_found = … } or { policy = \"park\" }";

/// A step's policy.
#[derive(Debug, Clone)]
pub enum InDoubt {
    /// The third party deduplicates by `Idempotency-Key`: call again with the same key, within its window.
    SameKey {
        /// How long it remembers a key, counted from the first attempt.
        window: Duration,
    },
    /// The third party can be asked whether the call was applied.
    LookUp(Box<LookUp>),
    /// An operator decides.
    Park,
    /// There is never a doubt: the write and its record are one transaction.
    Impossible,
}

/// A request that asks the third party whether a call was applied.
#[derive(Debug, Clone)]
pub struct LookUp {
    /// The URL, requested with GET.
    pub url: UrlTemplate,
    /// The credentials.
    pub auth: Option<Auth>,
    /// Time limit of the whole exchange.
    pub timeout: Duration,
    /// Holds if the response says that the call was applied: commit.
    pub found: Template,
    /// Holds if the response says that it was not applied: call. If neither holds, the effect stays in doubt.
    pub not_found: Template,
    /// The fields of the response that are kept; the call's own if empty.
    pub receipt: Vec<(String, JsonTemplate)>,
}

impl InDoubt {
    /// How long resolving a doubt may take, before the call itself.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        match self {
            Self::LookUp(look_up) => look_up.timeout,
            Self::SameKey { .. } | Self::Park | Self::Impossible => Duration::ZERO,
        }
    }

    /// The policy of a step that writes to a table.
    pub(super) fn of_row(step: &mut Section, problems: &mut Problems) -> Option<Self> {
        if step.take("in_doubt").is_some() {
            let why = "remove it: the item and the effect's record are one transaction, so the effect is never in doubt";
            problems.add(step.path("in_doubt"), why);
        }
        Some(Self::Impossible)
    }

    pub(super) fn read(
        step: &mut Section,
        input: &[(String, JsonTemplate)],
        templates: &mut Templates,
        problems: &mut Problems,
    ) -> Option<Self> {
        let Some(mut section) = step.section("in_doubt", problems) else {
            let why = "there is no safe default: does this third party dedupe on Idempotency-Key, and for how long? Can it be asked?";
            problems.add(step.path("in_doubt"), format!("missing; {why} Add {EXPECTED}"));
            return None;
        };
        let policy: String = section.required("policy", EXPECTED, problems)?;
        let in_doubt = match policy.as_str() {
            "same-key" => read_same_key(&mut section, problems),
            "look-up" => {
                LookUp::read(&mut section, input, templates, problems).map(Box::new).map(Self::LookUp)
            }
            "park" => Some(Self::Park),
            other => {
                let message = format!("{other:?} is not known; write \"same-key\", \"look-up\" or \"park\"");
                problems.add(section.path("policy"), message);
                return None;
            }
        };
        section.finish(problems);
        in_doubt
    }
}

fn read_same_key(section: &mut Section, problems: &mut Problems) -> Option<InDoubt> {
    let expected = "window = \"24h\": how long the third party remembers a key";
    let window: Span = section.required("window", expected, problems)?;
    Some(InDoubt::SameKey { window: window.into() })
}

impl LookUp {
    fn read(
        section: &mut Section,
        input: &[(String, JsonTemplate)],
        templates: &mut Templates,
        problems: &mut Problems,
    ) -> Option<Self> {
        let scope = call_scope(input);
        let scope: Vec<&str> = scope.iter().map(String::as_str).collect();
        let url: Option<String> = section.required("url", "url = \"https://…\", a GET that tells", problems);
        let url = url.and_then(|url| UrlTemplate::read(&url, section, &scope, templates, problems));
        let auth = section.section("auth", problems).and_then(|auth| Auth::read(auth, problems));
        if matches!(auth, Some(Auth::StandardWebhooks(_))) {
            let why = "a look-up is no webhook: its webhook-id would be that of the call; use bearer, basic or header";
            problems.add(section.path("auth"), why);
        }
        if matches!(auth, Some(Auth::Aws { .. })) {
            problems
                .add(section.path("auth"), "a look-up is not signed for AWS; use bearer, basic or header");
        }
        if let Some(url) = &url {
            url.check_exposure(auth.as_ref(), problems);
        }
        let timeout = read_timeout(section, problems);
        let answer: Vec<&str> = ANSWER_SCOPE.iter().copied().chain(scope).collect();
        let mut condition = |field| {
            let condition = read_condition(field, section, &answer, templates, problems);
            if condition.is_none() {
                problems.add(section.path(field), "needed: a condition such as \"response.status == 404\"");
            }
            condition
        };
        let (found, not_found) = (condition("found"), condition("not_found"));
        let receipt = read_receipt(section, templates, problems);
        Some(Self { url: url?, auth, timeout, found: found?, not_found: not_found?, receipt })
    }
}
