//! The API for whoever decides about what is parked.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::{
    Ingest,
    reply::Reply,
    runs::{NOTHING, is_run},
};
use crate::{
    config::{in_doubt::InDoubt, step::Step},
    effect_id::EffectId,
    effects::guard::decide::{Decided, Decision, Said, Seen},
};

/// How many are shown at a time, those longest parked first.
const SHOWN: i32 = 100;
/// A record holds at most 400 KB, and every decision adds its note.
const LONGEST_NOTE: usize = 1000;

/// The body of `POST /runs/{run_id}/decide`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    effect_id: String,
    /// As it was seen: if it has more by now, the decision is about something else.
    attempt: u32,
    decision: Decision,
    /// Who decides, and why: it goes into the history.
    note: String,
}

impl Ingest {
    /// `GET /parked`: what needs a person, each with all that we know of it.
    pub(super) async fn show_parked(&self) -> Reply {
        match self.outbox.effects.parked(SHOWN).await {
            Ok(parked) => Reply::Found(json!({ "parked": parked, "limit": SHOWN })),
            Err(error) => {
                tracing::error!(%error, "the parked effects could not be read");
                Reply::Unavailable
            }
        }
    }

    /// `POST /runs/{run_id}/decide`.
    pub(super) async fn decide(&self, caller: &str, run_id: &str, body: &[u8], now: Timestamp) -> Reply {
        if !is_run(run_id) {
            return NOTHING;
        }
        let request: Request = match serde_json::from_slice(body) {
            Ok(request) => request,
            Err(error) => return Reply::Unfit(format!("the body: {error}")),
        };
        // No effect: a record that is kept beside one. No step: webhooks.toml has it no longer.
        let effect: Option<EffectId> = request.effect_id.parse().ok();
        let step = effect.as_ref().and_then(|effect| self.config.step(effect.step_id().as_str()));
        if let Some(why) = unfit(&request, effect.as_ref(), step) {
            return Reply::Unfit(why);
        }
        let policy_resolves = step.is_some_and(|step| !matches!(step.in_doubt, InDoubt::Park));
        let Request { effect_id, attempt, decision, note } = request;
        let seen = Seen { run_id, effect_id: &effect_id, attempt, policy_resolves };
        let said = Said { decision, by: caller, note: &note };
        match self.outbox.effects.decide(seen, said, now).await {
            Ok(Decided::Taken(record)) => {
                tracing::warn!(run_id, effect_id, attempt, decision = decision.as_str(), caller, "a person has decided");
                if is_called(decision) {
                    self.wake_ups.wake().await;
                }
                Reply::Found(json!(record))
            }
            Ok(Decided::Overtaken(record)) => Reply::Overtaken(format!(
                "the effect is {} after attempt {}; look at it again",
                record.status, record.attempt
            )),
            Ok(Decided::InDoubt) => Reply::Unfit(
                "decision: it may have happened, and no policy can tell; look there, and say applied or not_applied"
                    .into(),
            ),
            Ok(Decided::Unknown) => Reply::NotFound("the run has no such effect"),
            Ok(Decided::NotCallable) => Reply::Unfit("decision: this can't be called; discard it".into()),
            Err(error) => {
                tracing::error!(run_id, effect_id, %error, "a decision may not have been recorded");
                Reply::Unavailable
            }
        }
    }
}

/// What can't be right about a request, whatever the record says.
fn unfit(request: &Request, effect: Option<&EffectId>, step: Option<&Step>) -> Option<String> {
    if request.note.trim().is_empty() || request.note.len() > LONGEST_NOTE {
        return Some(format!("note: say who decides and why, in up to {LONGEST_NOTE} bytes"));
    }
    let gone = effect.filter(|_| is_called(request.decision) && step.is_none())?.step_id();
    Some(format!("decision: webhooks.toml has no step {:?} to call", gone.as_str()))
}

/// Whether the effect is due at once after this decision.
fn is_called(decision: Decision) -> bool {
    matches!(decision, Decision::Retry | Decision::NotApplied)
}
