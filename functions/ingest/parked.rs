//! The HTTP API for operators: parked effects and decisions.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::form_urlencoded;
use uuid::Uuid;

use super::{
    Ingest,
    reply::Reply,
    runs::{NOTHING, is_run},
};
use crate::{
    config::step::Step,
    effect_id::{EffectId, PARKED_LANE},
    effects::{
        Cursor, StoreError,
        bulk::{Bulk, Filter, Policy},
        guard::decide::{Decided, Decision, Said, Seen},
    },
};

/// Parked effects per page, those longest parked first.
const SHOWN: i32 = 100;
/// The limit of the count: it reads each record.
const COUNTED: u16 = 1000;
/// The limit of decisions per request: the gateway's timeout is 30 s. The response says whether there may be more.
const AT_A_TIME: u64 = 200;
/// The limit of a note: a record holds at most 400 KB, and every decision adds its note.
const LONGEST_NOTE: usize = 1000;

/// The limit of a receipt, as for receipts of calls.
const LONGEST_RECEIPT: usize = 16 * 1024;

/// The body of `POST /runs/{run_id}/decide`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DecisionRequest {
    effect_id: String,
    /// The attempt count that the operator saw: if it has changed, the decision is refused.
    attempt: u32,
    decision: Decision,
    /// The operator and the reason, for the history.
    note: String,
    /// With `applied`: the receipt's fields, by the names of the step's `receipt`. Later steps may need them.
    #[serde(default)]
    receipt: Map<String, Value>,
}

/// The body of `POST /parked/decide`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BulkDecisionRequest {
    decision: Decision,
    /// Not needed for a plan.
    #[serde(default)]
    note: String,
    #[serde(default)]
    filter: Filter,
    /// Only a plan is wanted.
    #[serde(default)]
    plan: bool,
}

impl Ingest {
    /// `GET /parked`: the parked effects with their records. `?after=` continues after a page.
    pub(super) async fn show_parked(&self, query: &str) -> Reply {
        let after = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "after");
        let from = match after.map(|(_, token)| Cursor::of_token(&token)) {
            Some(None) => return Reply::Unfit("after: not the `next` of a page".into()),
            from => from.flatten(),
        };
        let shown = async {
            let page = self.listing.parked_page(SHOWN, from);
            let total = self.listing.waiting(PARKED_LANE, Timestamp::MAX, COUNTED);
            tokio::try_join!(page, total)
        };
        match shown.await {
            Ok(((parked, next), total)) => Reply::Found(json!({
                "parked": parked, "limit": SHOWN, "next": next.map(|next| next.token()),
                "total": total.count, "counted_up_to": COUNTED,
            })),
            Err(error) => {
                tracing::error!(%error, "the parked effects could not be read");
                Reply::Unavailable
            }
        }
    }

    /// `POST /parked/decide`: one decision on all that match a filter, or with `plan` only its plan.
    pub(super) async fn decide_all(&self, caller: &str, body: &[u8], now: Timestamp) -> Reply {
        let request: BulkDecisionRequest = match serde_json::from_slice(body) {
            Ok(request) => request,
            Err(error) => return Reply::Unfit(format!("the body: {error}")),
        };
        let BulkDecisionRequest { decision, note, filter, plan } = request;
        if filter.is_empty() {
            let why = "filter: empty, which would mean all; say which: step, error, business_key, since, before, in_doubt";
            return Reply::Unfit(why.into());
        }
        let policy = |step: &str| Policy::of(&self.config, step);
        if plan {
            return match self.decisions.plan(&filter, decision, policy).await {
                Ok(plan) => Reply::Found(json!({ "plan": plan })),
                Err(error) => undecided(&error),
            };
        }
        if let Some(why) = unfit_note(&note) {
            return Reply::Unfit(why);
        }
        let (id, said) = (Uuid::now_v7(), Said { decision, by: caller, note: &note });
        let bulk = Bulk { id, filter: &filter, said };
        match self.decisions.decide_all(bulk, policy, AT_A_TIME, now, |_| {}).await {
            Ok(tally) => {
                let decided = tally.decided;
                tracing::warn!(bulk = %id, decided, decision = decision.as_str(), caller, "an operator has made a bulk decision");
                if decision.is_called() && decided > 0 {
                    self.wake_ups.wake().await;
                }
                Reply::Found(json!({ "bulk": id.to_string(), "tally": tally }))
            }
            Err(error) => undecided(&error),
        }
    }

    /// `POST /runs/{run_id}/decide`.
    pub(super) async fn decide(&self, caller: &str, run_id: &str, body: &[u8], now: Timestamp) -> Reply {
        if !is_run(run_id) {
            return NOTHING;
        }
        let request: DecisionRequest = match serde_json::from_slice(body) {
            Ok(request) => request,
            Err(error) => return Reply::Unfit(format!("the body: {error}")),
        };
        // Without an effect, it is a record kept beside one. Without a step, `webhooks.toml` no longer has the step.
        let effect: Option<EffectId> = request.effect_id.parse().ok();
        let step = effect.as_ref().and_then(|effect| self.config.step(effect.step_id().as_str()));
        if let Some(why) = unfit(&request, effect.as_ref(), step) {
            return Reply::Unfit(why);
        }
        let policy_resolves = effect
            .as_ref()
            .is_some_and(|effect| Policy::of(&self.config, effect.step_id().as_str()) == Policy::Resolves);
        let DecisionRequest { effect_id, attempt, decision, note, receipt } = request;
        let seen = Seen { run_id, effect_id: &effect_id, attempt, policy_resolves };
        let said = Said { decision, by: caller, note: &note };
        match self.decisions.decide_with(seen, said, &receipt, now).await {
            Ok(Decided::Taken(record)) => {
                tracing::warn!(run_id, effect_id, attempt, decision = decision.as_str(), caller, "an operator has decided");
                // An effect marked as applied may have begun its successors.
                if decision != Decision::Discard {
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
            Ok(Decided::LacksReceipt(fields)) => Reply::Unfit(format!(
                "receipt: later steps use {}; look there, and say what was given",
                fields.join(", ")
            )),
            Ok(Decided::Unknown) => Reply::NotFound("the run has no such effect"),
            Ok(Decided::NotCallable) => Reply::Unfit("decision: this can't be called; discard it".into()),
            Err(error) => {
                tracing::error!(run_id, effect_id, %error, "a decision may not have been recorded");
                Reply::Unavailable
            }
        }
    }
}

/// Errors in a request that don't depend on the record.
fn unfit(request: &DecisionRequest, effect: Option<&EffectId>, step: Option<&Step>) -> Option<String> {
    if let Some(why) = unfit_note(&request.note) {
        return Some(why);
    }
    if request.decision != Decision::Applied && !request.receipt.is_empty() {
        return Some("receipt: only what was applied has one".to_owned());
    }
    if Value::from(request.receipt.clone()).to_string().len() > LONGEST_RECEIPT {
        return Some(format!("receipt: over {LONGEST_RECEIPT} bytes"));
    }
    let gone = effect.filter(|_| request.decision.is_called() && step.is_none())?.step_id();
    Some(format!("decision: webhooks.toml has no step {:?} to call", gone.as_str()))
}

fn unfit_note(note: &str) -> Option<String> {
    let is_fit = !note.trim().is_empty() && note.len() <= LONGEST_NOTE;
    (!is_fit).then(|| format!("note: say who decides and why, in up to {LONGEST_NOTE} bytes"))
}

fn undecided(error: &StoreError) -> Reply {
    tracing::error!(%error, "a bulk decision was interrupted; repeat it to decide the rest");
    Reply::Unavailable
}
