//! Recovers an event that has not arrived: it is fetched, or its provider is asked to redeliver it, and it then arrives at ingest. The effects
//! of recovered events are marked.

use super::{Ended, look::Looking};
use crate::{
    effects::{asked::Asked, reconciliation::Recovery},
    ingest::{fetched, reply, route::Routed},
    reconcile::{Client, Delivery, Failure, Fetched, Item, What},
};

impl Looking<'_> {
    /// Whether a requested event has arrived.
    pub(super) fn has_come(&self, item: &Item) -> bool {
        matches!(item.what, What::Delivered(_)) && self.asked.contains_key(&item.event_id)
    }

    /// Whether the provider is known to have lost it.
    pub(super) fn is_lost(&self, item: &Item) -> bool {
        self.asked.get(&item.event_id).is_some_and(|asked| asked.is_lost)
    }

    /// Recovers an event. Returns whether that took a request under the provider's rate limit.
    pub(super) async fn handle(&mut self, client: &Client<'_>, item: &Item) -> Result<bool, Ended> {
        match &item.what {
            What::Delivered(delivery) => {
                self.mark(client, item, delivery).await?;
                Ok(!client.lists_answers())
            }
            What::Event(event) => self.recover(item, event).await.map(|()| false),
            What::Undelivered(delivery) => {
                self.ask_again(client, item, delivery).await?;
                let turn = &mut self.found.turn;
                if let Some(look) = &mut turn.position.look {
                    look.handled_from = look.handled_from.min(item.at);
                }
                self.worker.reconciliation.keep_turn(turn, self.worker.now()).await?;
                Ok(true)
            }
        }
    }

    async fn ask_again(
        &mut self,
        client: &Client<'_>,
        item: &Item,
        delivery: &Delivery,
    ) -> Result<(), Ended> {
        let (source, event_id, event_type) = (&self.source.name, &item.event_id, &item.event_type);
        // Recorded before the request: this process may die after it, and the event arrives all the same.
        let asked = Asked { at: self.worker.now(), is_lost: false };
        self.worker.reconciliation.remember_asked(source, event_id, asked).await?;
        match client.redeliver(delivery).await {
            Ok(()) => {
                self.found.recovered += 1;
                tracing::warn!(
                    outcome = "asked",
                    source,
                    event_id,
                    event_type,
                    "the provider was asked to deliver again what had not arrived"
                );
                Ok(())
            }
            Err(error @ Failure::Gone { .. }) => {
                self.found.lost += 1;
                tracing::error!(outcome = "lost", source, event_id, event_type, %error, "what had not arrived can't be delivered again");
                let lost = Asked { is_lost: true, ..asked };
                Ok(self.worker.reconciliation.remember_asked(source, event_id, lost).await?)
            }
            Err(failure) => Err(failure.into()),
        }
    }

    /// Marks the effects of requested events that have arrived. Those without a record yet are marked by a later scan.
    async fn mark(&mut self, client: &Client<'_>, item: &Item, delivery: &Delivery) -> Result<(), Ended> {
        let (source, event_id) = (&self.source.name, &item.event_id);
        let Some(asked) = self.asked.remove(event_id) else { return Ok(()) };
        let answer = match client.answer(delivery).await {
            Ok(answer) => answer,
            Err(Failure::Gone { .. }) => String::new(),
            // Nothing depends on the mark: the effects are recorded already.
            Err(error) => {
                tracing::debug!(source, event_id, %error, "what was recovered is marked later");
                return Ok(());
            }
        };
        let mut is_marked = true;
        for effect in reply::effects_of(&answer) {
            is_marked &= self.worker.reconciliation.mark_recovered(&effect, asked.at).await?;
        }
        if is_marked {
            self.worker.reconciliation.forget_asked(source, event_id).await?;
        }
        Ok(())
    }

    /// Puts all effects of an event that have no record on the agenda.
    async fn recover(&mut self, item: &Item, event: &Fetched) -> Result<(), Ended> {
        let (source, event_id, event_type) = (&self.source.name, &item.event_id, &item.event_type);
        let now = self.worker.now();
        let routed = match fetched::commands(self.source, event, &self.worker.config, now) {
            Ok(routed) => routed,
            Err(error) => {
                self.found.lost += 1;
                tracing::error!(outcome = "unfit", source, event_id, event_type, %error, "an event that was fetched can't be worked on");
                return Ok(());
            }
        };
        for Routed { effect, command, due } in routed {
            let run_id = command.run_id.clone();
            if self.worker.reconciliation.recover(&effect, command, due, now).await? == Recovery::Recovered {
                self.found.recovered += 1;
                tracing::warn!(outcome = "recovered", source, event_id, event_type, %run_id, effect_id = %effect, "an event that had not arrived was fetched");
            }
        }
        Ok(())
    }
}
