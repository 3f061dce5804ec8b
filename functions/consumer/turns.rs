//! One task at a time per effect, within this process: a duplicate often follows its original in the same partition. It waits here for the
//! original's attempt and then finds the effect recorded, for one request.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::{Mutex as Lock, OwnedMutexGuard};

use crate::effect_id::EffectId;

/// The effects that are being worked on.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashMap<EffectId, Weak<Lock<()>>>>);

/// The right to work on an effect in this process, until it is dropped.
pub(super) type Turn = OwnedMutexGuard<()>;

impl Turns {
    /// Waits for the effect to be free.
    pub(super) async fn take(&self, effect: &EffectId) -> Turn {
        self.turn(effect).lock_owned().await
    }

    /// Takes the effect if it is free.
    pub(super) fn try_take(&self, effect: &EffectId) -> Option<Turn> {
        self.turn(effect).try_lock_owned().ok()
    }

    fn turn(&self, effect: &EffectId) -> Arc<Lock<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(effect).and_then(Weak::upgrade) {
            return turn;
        }
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::default();
        turns.insert(effect.clone(), Arc::downgrade(&turn));
        turn
    }
}
