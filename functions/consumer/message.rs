//! Reads a message: verifies its signature and parses its command.

use std::borrow::Cow;

use super::{Worker, task::Task};
use crate::{
    command_keys::{CommandKeys, NotOurs},
    config::environment::Signatures,
    secrets::Secrets,
};

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
        match verified(message, &secrets, self.signatures) {
            Err(NotOurs::Forged) => match self.caller.secrets_other_than(&secrets, self.now()).await {
                Some(newer) => verified(message, &newer, self.signatures),
                None => Err(NotOurs::Forged),
            },
            verified => verified,
        }
    }
}

fn verified<'a>(message: &'a str, secrets: &Secrets, rule: Signatures) -> Result<Cow<'a, str>, NotOurs> {
    // The keys were checked when the secrets were read.
    let Some(keys) = CommandKeys::of(secrets).map_err(|_| NotOurs::Forged)? else {
        return Ok(message.into());
    };
    match keys.verify(message) {
        Err(NotOurs::Unsigned) if rule == Signatures::Optional => Ok(message.into()),
        verified => Ok(verified?.into()),
    }
}
