//! What is made of secrets, and made anew once they have been rotated: no deployment is needed for that.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use jiff::Timestamp;
use tokio::{sync::Mutex, time::timeout};

use super::{Secrets, Vault};
use crate::config::ConfigError;

/// Read again when it is older, as AWS's own cache does
/// (<https://docs.aws.amazon.com/secretsmanager/latest/userguide/retrieving-secrets_lambda.html>): so long is a secret still
/// good, or a token still used, that has been taken out of the vault.
pub const MAX_AGE: Duration = Duration::from_secs(300);
/// The vault is never asked sooner than this after it was asked again, whether it answered or not: that is all that
/// forged webhooks can make it bear.
pub const PAUSE: Duration = Duration::from_secs(60);
/// For as long, whoever needs the answer waits: a provider hangs up after 3 s.
const RENEWAL: Duration = Duration::from_secs(1);

type Make<T> = Box<dyn Fn(&Secrets) -> Result<T, ConfigError> + Send + Sync>;

/// Something that is made of secrets. Once there is one, there is always one: a renewal that fails leaves it as it was.
pub struct Current<T> {
    vault: Vault,
    make: Make<T>,
    made: RwLock<Made<T>>,
    /// When the vault was last asked again. Locked while it is: whoever comes meanwhile waits for the same answer.
    asked: Mutex<Option<Timestamp>>,
}

struct Made<T> {
    value: Arc<T>,
    at: Timestamp,
}

impl<T> Current<T> {
    /// Reads the vault for the first time. This is the start, so it takes the time that it takes.
    ///
    /// # Errors
    /// The vault can't be read, or all that is wrong with what it holds.
    pub async fn start(
        vault: Vault,
        now: Timestamp,
        make: impl Fn(&Secrets) -> Result<T, ConfigError> + Send + Sync + 'static,
    ) -> Result<Self, ConfigError> {
        let secrets = vault.read().await?;
        Self::of(vault, &secrets, now, make)
    }

    /// Of what the vault has just said.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn of(
        vault: Vault,
        secrets: &Secrets,
        now: Timestamp,
        make: impl Fn(&Secrets) -> Result<T, ConfigError> + Send + Sync + 'static,
    ) -> Result<Self, ConfigError> {
        let made = RwLock::new(Made { value: Arc::new(make(secrets)?), at: now });
        Ok(Self { vault, make: Box::new(make), made, asked: Mutex::default() })
    }

    /// As it was last made.
    pub fn get(&self) -> Arc<T> {
        Arc::clone(&self.made.read().unwrap_or_else(PoisonError::into_inner).value)
    }

    /// As it was last made, if that is not too long ago; else made anew.
    pub async fn fresh(&self, now: Timestamp) -> Arc<T> {
        let made_at = self.made.read().unwrap_or_else(PoisonError::into_inner).at;
        if apart(made_at, now) > MAX_AGE {
            self.renew(now).await;
        }
        self.get()
    }

    /// Another than this one, for when it does not serve: one that has been made meanwhile, or is made now.
    pub async fn other_than(&self, seen: &Arc<T>, now: Timestamp) -> Option<Arc<T>> {
        if Arc::ptr_eq(seen, &self.get()) {
            self.renew(now).await;
        }
        Some(self.get()).filter(|current| !Arc::ptr_eq(seen, current))
    }

    async fn renew(&self, now: Timestamp) {
        if !self.vault.changes() {
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
        (self.make)(&self.vault.read().await?)
    }
}

/// Either way: a clock that is set back must not make what is old young.
fn apart(then: Timestamp, now: Timestamp) -> Duration {
    now.duration_since(then).unsigned_abs()
}

impl<T> fmt::Debug for Current<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Current").field("vault", &self.vault).finish_non_exhaustive()
    }
}
