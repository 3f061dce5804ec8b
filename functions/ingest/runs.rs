//! The API for clients: start a run, and read one.

use http::HeaderMap;
use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use super::{
    Ingest,
    outcome::{Client, FailedCommand, Outcome},
    placement::NotDurable,
    placement::Placements,
    reply::Reply,
    route::{
        Origin, Routed,
        requested::{RunRequest, requested},
    },
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
        origin: Origin<'_>,
    ) -> Outcome {
        let started = self.try_start(caller, headers, body, origin).await;
        Outcome::Client(started.unwrap_or_else(|failed| failed))
    }

    async fn try_start(
        &self,
        caller: &str,
        headers: &HeaderMap,
        body: &[u8],
        origin: Origin<'_>,
    ) -> Result<Client, Client> {
        let key =
            headers.get("idempotency-key").map(|key| String::from_utf8_lossy(key.as_bytes()).into_owned());
        let routed = self.requested(key.as_deref(), body, origin)?;
        if key.is_some() {
            self.remember(&routed, origin.now).await?;
        }
        let keys = self.keys.fresh(origin.now).await;
        let accepted = self.wake_ups.beside(self.outbox.accept(&routed, keys.commands(), origin.now)).await;
        let placed = Placements::of(&accepted);
        match accepted {
            Ok(_) => Ok(Client::Started { routed: routed.into(), caller: caller.to_owned(), placed }),
            Err(error) => {
                Err(Client::NotDurable(FailedCommand { effect: routed.effect, error, placed }.into()))
            }
        }
    }

    /// The command that a client requests, or the error in the request.
    fn requested(&self, key: Option<&str>, body: &[u8], origin: Origin<'_>) -> Result<Routed, Client> {
        let unfit = |what, why| Client::Unfit { what, why };
        let request: RunRequest = serde_json::from_slice(body)
            .map_err(|error| unfit("the body is not a valid request", format!("the body: {error}")))?;
        let run_id = match key {
            Some(key) => RunId::escape(&format!("api.{key}")),
            None => RunId::escape(&format!("api.{}", Uuid::now_v7())),
        };
        let run_id = run_id.map_err(|error| {
            unfit("Idempotency-Key can't be part of a run id", format!("Idempotency-Key: {error}"))
        })?;
        requested(request, run_id, &self.config, origin)
            .map_err(|error| unfit("the request does not fit the step", error.to_string()))
    }

    /// Stores what an `Idempotency-Key` stands for, or compares it with what is stored.
    async fn remember(&self, routed: &Routed, now: Timestamp) -> Result<(), Client> {
        let what = "Idempotency-Key: used before, with another step, business_key, input or flow";
        match self.idempotency_keys.remember(&routed.effect, &routed.asked(), now).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Client::Unfit { what, why: what.to_owned() }),
            Err(error) => {
                let (effect, error) = (routed.effect.clone(), NotDurable::IdempotencyKey(error));
                Err(Client::NotDurable(FailedCommand { effect, error, placed: Placements::default() }.into()))
            }
        }
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
