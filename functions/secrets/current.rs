//! A value derived from secrets, refreshed after they are rotated, without a deployment.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use jiff::Timestamp;
use tokio::{sync::Mutex, time::timeout};

use super::{SecretStore, Secrets};
use crate::config::ConfigError;

/// The age at which secrets are read again, as in AWS's own cache
/// (<https://docs.aws.amazon.com/secretsmanager/latest/userguide/retrieving-secrets_lambda.html>). A secret that was removed
/// is accepted or used for up to this long.
pub const MAX_AGE: Duration = Duration::from_secs(300);
/// The least time between two reads, successful or not. It bounds the reads that forged webhooks can cause.
pub const PAUSE: Duration = Duration::from_secs(60);
/// How long a caller waits for a read: a provider closes the connection after 3 s.
const RENEWAL: Duration = Duration::from_secs(1);

type Make<T> = Box<dyn Fn(&Secrets) -> Result<T, ConfigError> + Send + Sync>;

/// A value derived from secrets. A failed refresh keeps the old value.
pub struct Current<T> {
    store: SecretStore,
    make: Make<T>,
    made: RwLock<Made<T>>,
    /// When the secrets were last read again. Locked during a read, so that concurrent callers wait for the same one.
    asked: Mutex<Option<Timestamp>>,
}

struct Made<T> {
    value: Arc<T>,
    at: Timestamp,
}

impl<T> Current<T> {
    /// Reads the secrets for the first time, at start, without a time limit of its own.
    ///
    /// # Errors
    /// The secrets can't be read, or everything that is wrong with them.
    pub async fn start(
        store: SecretStore,
        now: Timestamp,
        make: impl Fn(&Secrets) -> Result<T, ConfigError> + Send + Sync + 'static,
    ) -> Result<Self, ConfigError> {
        let secrets = store.read().await?;
        Self::of(store, &secrets, now, make)
    }

    /// Derives the first value from secrets that have just been read.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn of(
        store: SecretStore,
        secrets: &Secrets,
        now: Timestamp,
        make: impl Fn(&Secrets) -> Result<T, ConfigError> + Send + Sync + 'static,
    ) -> Result<Self, ConfigError> {
        let made = RwLock::new(Made { value: Arc::new(make(secrets)?), at: now });
        Ok(Self { store, make: Box::new(make), made, asked: Mutex::default() })
    }

    /// The present value.
    pub fn get(&self) -> Arc<T> {
        Arc::clone(&self.made.read().unwrap_or_else(PoisonError::into_inner).value)
    }

    /// The present value, refreshed first if it is too old.
    pub async fn fresh(&self, now: Timestamp) -> Arc<T> {
        let made_at = self.made.read().unwrap_or_else(PoisonError::into_inner).at;
        if apart(made_at, now) > MAX_AGE {
            self.renew(now).await;
        }
        self.get()
    }

    /// A newer value than `seen`, for when `seen` does not fit: one that was refreshed meanwhile, or is
    /// refreshed now.
    pub async fn other_than(&self, seen: &Arc<T>, now: Timestamp) -> Option<Arc<T>> {
        if Arc::ptr_eq(seen, &self.get()) {
            self.renew(now).await;
        }
        Some(self.get()).filter(|current| !Arc::ptr_eq(seen, current))
    }

    async fn renew(&self, now: Timestamp) {
        if !self.store.changes() {
            return;
        }
        let mut asked = self.asked.lock().await;
        if asked.is_some_and(|asked| apart(asked, now) < PAUSE) {
            return;
        }
        *asked = Some(now);
        match timeout(RENEWAL, self.make_anew()).await {
            Ok(Ok(value)) => {
                let made = Made { value: Arc::new(value), at: now };
                *self.made.write().unwrap_or_else(PoisonError::into_inner) = made;
                tracing::info!("secrets were read again");
            }
            Ok(Err(error)) => tracing::error!(%error, "secrets could not be read again; the old ones stay"),
            Err(_) => tracing::error!("secrets could not be read again within 1 s; the old ones stay"),
        }
    }

    async fn make_anew(&self) -> Result<T, ConfigError> {
        (self.make)(&self.store.read().await?)
    }
}

/// The time between two times, in either direction: a clock that is set back must not make an old value look
/// new.
fn apart(then: Timestamp, now: Timestamp) -> Duration {
    now.duration_since(then).unsigned_abs()
}

impl<T> fmt::Debug for Current<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Current").field("store", &self.store).finish_non_exhaustive()
    }
}
