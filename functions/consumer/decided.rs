//! Publishes events about operator decisions that ended an effect: decisions may be made where no broker is configured.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{Worker, events::Kind};
use crate::{
    effect_id::EffectId,
    effects::{StoreError, record::Status},
};

const EVERY: Duration = Duration::from_secs(10);
const PAGE: i32 = 64;

/// Publishes them until told to stop, if there is an events topic.
pub(super) async fn tell(worker: &Worker, stop: &CancellationToken) {
    while worker.events.are_wanted() {
        if let Err(error) = tell_all(worker).await {
            tracing::warn!(%error, "decided effects could not be read; their events are late");
        }
        tokio::select! {
            () = sleep(EVERY) => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn tell_all(worker: &Worker) -> Result<(), StoreError> {
    loop {
        let all = worker.unpublished.first(PAGE).await?;
        for end in &all {
            if !worker.unpublished.take(end).await? {
                continue;
            }
            let Ok(effect) = end.record.effect_id.parse::<EffectId>() else { continue };
            let is_done = end.record.status == Status::Done;
            let kind = if is_done { Kind::Done } else { Kind::Discarded };
            worker.events.tell_of(kind, end.of, &effect, end.record.attempt);
        }
        if all.len() < PAGE as usize {
            return Ok(());
        }
    }
}
