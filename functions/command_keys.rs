//! Signatures of commands on a topic: HMAC-SHA256 over the message's JSON, in its last field. The consumer
//! executes commands with our credentials, so access to the broker must not be enough to add one.
//!
//! `COMMAND_KEY` is the key, a secret of both functions. During a rotation it holds several, separated by commas or blanks:
//! the first one signs, and all of them verify.

use ring::hmac::{self, Context, HMAC_SHA256, Key};

use crate::{
    command::Command,
    config::ConfigError,
    secrets::{COMMAND_KEY, Secrets},
};

/// The shortest key, in bytes. 32 random bytes in hex have 64.
const SHORTEST: usize = 16;
/// Domain separation: the key signs nothing else in this context.
const CONTEXT: &str = "driftq-webhooks command 1\n";
const FIELD: &str = ",\"mac\":\"";
const END: &str = "\"}";

/// The keys under which commands are signed.
#[derive(Clone)]
pub struct CommandKeys {
    first: Key,
    others: Vec<Key>,
}

/// Why a message is not one of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotOurs {
    /// It has no signature.
    #[error(
        "it is not signed; COMMAND_SIGNATURES says what to do while an earlier version still sends such commands"
    )]
    Unsigned,
    /// None of the keys made its signature.
    #[error("its signature was not made with COMMAND_KEY: another key was used, or somebody else wrote it")]
    Forged,
}

impl CommandKeys {
    /// The keys in the secret; none if there is no such secret.
    ///
    /// # Errors
    /// A key is too short.
    pub fn of(secrets: &Secrets) -> Result<Option<Self>, ConfigError> {
        let Some(secret) = secrets.get(COMMAND_KEY) else { return Ok(None) };
        let mut keys = Vec::new();
        for key in secret.expose().split([',', ' ', '\n', '\t']).filter(|key| !key.is_empty()) {
            if key.len() < SHORTEST {
                let short = format!("a key of under {SHORTEST} bytes; take 32 random bytes, in hex");
                return Err(ConfigError::one("secrets", COMMAND_KEY, short));
            }
            keys.push(Key::new(HMAC_SHA256, key.as_bytes()));
        }
        let mut keys = keys.into_iter();
        Ok(keys.next().map(|first| Self { first, others: keys.collect() }))
    }

    /// The message of a command, signed.
    #[must_use]
    pub fn sign(&self, command: &Command) -> String {
        self.sign_json(command.to_json())
    }

    /// Signs a command's JSON.
    #[must_use]
    pub(crate) fn sign_json(&self, mut json: String) -> String {
        let mut context = Context::with_key(&self.first);
        context.update(CONTEXT.as_bytes());
        context.update(json.as_bytes());
        let mac = hex::encode(context.sign());
        json.pop();
        json.reserve_exact(FIELD.len() + mac.len() + END.len());
        json + FIELD + &mac + END
    }

    /// The command's JSON, exactly as it was signed.
    ///
    /// # Errors
    /// See [`NotOurs`].
    pub fn verify(&self, message: &str) -> Result<String, NotOurs> {
        let signed = message.strip_suffix(END).and_then(|rest| rest.rsplit_once(FIELD));
        let (json, mac) = signed.ok_or(NotOurs::Unsigned)?;
        let mac = hex::decode(mac).map_err(|_| NotOurs::Forged)?;
        let mut signed = [CONTEXT, json, "}"].concat();
        let mut keys = std::iter::once(&self.first).chain(&self.others);
        let is_ours = keys.any(|key| hmac::verify(key, signed.as_bytes(), &mac).is_ok());
        is_ours.then(|| signed.split_off(CONTEXT.len())).ok_or(NotOurs::Forged)
    }
}

impl std::fmt::Debug for CommandKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CommandKeys(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::command::tests::OLDER;

    const OLD: &str = "0123456789abcdef0123456789abcdef";
    const NEW: &str = "fedcba9876543210fedcba9876543210";

    fn keys(secret: &str) -> CommandKeys {
        CommandKeys::of(&Secrets::of(&[(COMMAND_KEY, secret)])).unwrap().unwrap()
    }

    fn command() -> Command {
        serde_json::from_str(OLDER).unwrap()
    }

    #[test]
    fn what_was_signed_comes_back_as_it_was_and_an_earlier_version_can_read_the_message() {
        let message = keys(OLD).sign(&command());
        assert_eq!(keys(OLD).verify(&message).unwrap(), command().to_json());
        assert_eq!(serde_json::from_str::<Command>(&message).unwrap(), command());
    }

    /// HMAC-SHA256 as Python's `hmac` computes it.
    #[test]
    fn the_signature_is_the_one_that_others_compute() {
        let message = keys(OLD).sign(&command());
        assert!(
            message
                .ends_with(r#","mac":"8cc401be36d375fdbbcaf7c2238bdb44baeb7438d5ae88c3c5149657b4fe08ec"}"#),
            "{message}"
        );
    }

    #[test]
    fn while_a_key_is_rotated_both_are_good_and_the_first_signs() {
        let [old, new] = [OLD, NEW].map(|key| keys(key).sign(&command()));
        for rotating in [format!("{OLD},{NEW}"), format!(" {NEW} {OLD}\n")] {
            assert!([&old, &new].into_iter().all(|message| keys(&rotating).verify(message).is_ok()));
        }
        assert_eq!(keys(&format!("{NEW} {OLD}")).sign(&command()), new);
        assert_eq!(keys(NEW).verify(&old), Err(NotOurs::Forged));
    }

    #[test]
    fn an_unsigned_message_and_a_short_key_are_told_apart_from_forged_ones() {
        assert_eq!(keys(OLD).verify(OLDER), Err(NotOurs::Unsigned));
        for forged in [r#"{"a":1,"mac":"nonsense"}"#, r#"{"a":1,"mac":""}"#, r#"{"a":1,"mac":"00"}"#] {
            assert_eq!(keys(OLD).verify(forged), Err(NotOurs::Forged), "{forged}");
        }
        assert!(CommandKeys::of(&Secrets::of(&[(COMMAND_KEY, "hunter2")])).is_err());
        assert!(CommandKeys::of(&Secrets::of(&[])).unwrap().is_none());
    }

    proptest! {
        #[test]
        fn no_other_message_is_taken_for_a_signed_one(at in any::<proptest::sample::Index>(), with in "(?s).{0,3}") {
            let message = keys(OLD).sign(&command());
            let at = message.floor_char_boundary(at.index(message.len()));
            let changed = format!("{}{with}{}", &message[..at], &message[message.ceil_char_boundary(at + 1)..]);
            let verified = keys(OLD).verify(&changed);
            prop_assert!(changed == message || verified.is_err() || verified == Ok(command().to_json()));
        }
    }
}
