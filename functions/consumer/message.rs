//! Reads a message: verifies its signature and parses its command.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, PoisonError},
};

use super::{Worker, task::Task};
use crate::{
    command_keys::{CommandKeys, NotOurs},
    config::environment::Signatures,
    secrets::Secrets,
};

/// The keys of the secrets that were last used: to prepare them takes as long as a signature.
#[derive(Debug, Default)]
pub(super) struct Prepared(Mutex<Option<(Arc<Secrets>, Keys)>>);

type Keys = Option<Arc<CommandKeys>>;

impl Prepared {
    fn of(&self, secrets: &Arc<Secrets>) -> Result<Keys, NotOurs> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, keys)) = &*kept
            && Arc::ptr_eq(of, secrets)
        {
            return Ok(keys.clone());
        }
        // They were checked when the secrets were read.
        let keys = CommandKeys::of(secrets).map_err(|_| NotOurs::Forged)?.map(Arc::new);
        *kept = Some((Arc::clone(secrets), keys.clone()));
        Ok(keys)
    }
}

impl Worker {
    /// The command that a message carries.
    ///
    /// # Errors
    /// Why it is not a command. The text may quote the message, so it goes into a record and not into the log.
    pub(super) async fn read(&self, message: &str) -> Result<Task, String> {
        let json = self.verified(message).await.map_err(|not_ours| not_ours.to_string())?;
        Task::read(&json, &self.spans)
    }

    /// If no key matches, the keys are read again: they may have been rotated.
    async fn verified<'a>(&self, message: &'a str) -> Result<Cow<'a, str>, NotOurs> {
        let secrets = self.caller.secrets();
        match verified(message, self.keys.of(&secrets)?, self.signatures) {
            Err(NotOurs::Forged) => match self.caller.secrets_other_than(&secrets, self.now()).await {
                Some(newer) => verified(message, self.keys.of(&newer)?, self.signatures),
                None => Err(NotOurs::Forged),
            },
            verified => verified,
        }
    }
}

fn verified(message: &str, keys: Keys, rule: Signatures) -> Result<Cow<'_, str>, NotOurs> {
    let Some(keys) = keys else { return Ok(message.into()) };
    match keys.verify(message) {
        Err(NotOurs::Unsigned) if rule == Signatures::Optional => Ok(message.into()),
        verified => Ok(verified?.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::COMMAND_KEY;

    #[test]
    fn keys_are_prepared_once_until_the_secrets_are_others() {
        let secrets = |key| Arc::new(Secrets::of(&[(COMMAND_KEY, key)]));
        let [old, new] = ["0123456789abcdef", "fedcba9876543210"].map(secrets);
        let prepared = Prepared::default();
        let keys = |secrets| prepared.of(secrets).unwrap().unwrap();
        let first = keys(&old);
        assert!(Arc::ptr_eq(&first, &keys(&old)));
        assert_eq!(keys(&new).verify(r#"{"a":1,"mac":"00"}"#), Err(NotOurs::Forged));
        assert!(!Arc::ptr_eq(&first, &keys(&new)) && !Arc::ptr_eq(&first, &keys(&old)));
        assert!(prepared.of(&Arc::new(Secrets::of(&[]))).unwrap().is_none());
    }
}
