//! What the relay has published in this invocation and no message has settled yet. It is still due.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{command::Command, effect_id::EffectId, effects::due::Due};

/// What is published and not settled, by effect.
#[derive(Debug, Clone, Default)]
pub(super) struct Published(Arc<Mutex<HashMap<String, Due>>>);

impl Published {
    /// It has been published.
    pub(super) fn remember(&self, due: Due) {
        self.lock().insert(due.effect_id.clone(), due);
    }

    /// A message is settled. If it is what was published, its claim or a later one has moved the record on the agenda or
    /// taken it off. A copy that counts other attempts, or brings other input, is settled without that.
    pub(super) fn settled(&self, effect: &EffectId, command: &Command) {
        if let Entry::Occupied(published) = self.lock().entry(effect.to_string())
            && is_same(&published.get().command, command)
        {
            published.remove();
        }
    }

    /// What is left, once.
    pub(super) fn take(&self) -> Vec<Due> {
        std::mem::take(&mut *self.lock()).into_values().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Due>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// By what a claim goes by. The rest may differ between two deliveries of one event.
fn is_same(one: &Command, other: &Command) -> bool {
    one.attempt == other.attempt && one.input_hash == other.input_hash
}
