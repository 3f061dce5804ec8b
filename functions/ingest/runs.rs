//! The API for clients: start a run, and read one.

use http::HeaderMap;
use serde_json::json;
use uuid::Uuid;

use super::{
    Ingest,
    intake::Intake,
    reply::Reply,
    route::{Routed, RunRequest, requested},
};
use crate::{
    effect_id::RunId,
    effects::{parked::MALFORMED_RUN, standing::Standing},
};

pub(super) const NOTHING: Reply = Reply::NotFound("nothing is on record under this run id");

impl Ingest {
    /// `POST /runs`. A repeated `Idempotency-Key` is the same run; with another payload it is refused.
    pub(super) async fn start_run(
        &self,
        caller: &str,
        headers: &HeaderMap,
        body: &[u8],
        intake: &Intake,
    ) -> Reply {
        let routed = match self.asked_for(headers, body, intake).await {
            Ok(routed) => routed,
            Err(reply) => return reply,
        };
        let keys = self.keys.fresh(intake.now).await;
        match self.wake_ups.beside(self.outbox.accept(&routed, keys.commands(), intake)).await {
            Ok(()) => {
                let (run_id, step) = (&routed.command.run_id, &routed.command.step);
                let duration_ms = intake.duration_ms();
                intake.accepted();
                tracing::info!(outcome = "accepted", %run_id, effect_id = %routed.effect, %step, caller, duration_ms, "a run was started");
                Reply::Started(routed.effect)
            }
            Err(error) => {
                intake.not_durable(&routed.effect, &error);
                Reply::Unavailable
            }
        }
    }

    /// The command that a client requests, or the error in the request.
    async fn asked_for(&self, headers: &HeaderMap, body: &[u8], intake: &Intake) -> Result<Routed, Reply> {
        let unfit = |field: &str, why: String| {
            // The error's text may quote the request.
            intake.refused("unfit", field);
            Reply::Unfit(why)
        };
        let request: RunRequest = serde_json::from_slice(body)
            .map_err(|error| unfit("the body is no such request", format!("the body: {error}")))?;
        let key =
            headers.get("idempotency-key").map(|key| String::from_utf8_lossy(key.as_bytes()).into_owned());
        let run_id = match &key {
            Some(key) => RunId::escape(&format!("api.{key}")),
            None => RunId::escape(&format!("api.{}", Uuid::now_v7())),
        };
        let run_id = run_id.map_err(|error| {
            unfit("Idempotency-Key can't be part of a run id", format!("Idempotency-Key: {error}"))
        })?;
        let routed = requested(request, run_id, &self.config, intake.now)
            .map_err(|error| unfit("no step is asked for as it is", error.to_string()))?;
        if key.is_some() {
            match self.idempotency_keys.remember(&routed.effect, &routed.asked(), intake.now).await {
                Ok(true) => {}
                Ok(false) => {
                    let why = "Idempotency-Key: used before, with another step, business_key, input or flow";
                    return Err(unfit(why, why.to_owned()));
                }
                Err(error) => {
                    intake.not_durable(&routed.effect, &error);
                    return Err(Reply::Unavailable);
                }
            }
        }
        Ok(routed)
    }

    /// `GET /runs/{run_id}`.
    pub(super) async fn show_run(&self, run_id: &str) -> Reply {
        if !is_run(run_id) {
            return NOTHING;
        }
        match self.listing.run(run_id).await {
            Ok(effects) if effects.is_empty() => NOTHING,
            Ok(effects) => {
                let Standing { state, steps } = Standing::of(&effects, |step| self.config.predecessors(step));
                Reply::Found(json!({ "run_id": run_id, "state": state, "steps": steps, "effects": effects }))
            }
            Err(error) => {
                tracing::error!(run_id, %error, "a run could not be read");
                Reply::Unavailable
            }
        }
    }
}

/// Whether it is a run id. Other partitions of the table hold internal records.
pub(super) fn is_run(run_id: &str) -> bool {
    run_id == MALFORMED_RUN || RunId::try_from(run_id.to_owned()).is_ok()
}
