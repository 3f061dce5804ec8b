//! A secret, ready for use. HMAC-SHA256, compared in constant time, from strictly read signatures.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::{Refused, Verified};

/// An HMAC-SHA256 key. Made by [`Scheme::key`](super::Scheme::key).
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

/// A secret that can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Nothing, or only spaces.
    #[error("is blank; anybody could sign with it")]
    Blank,
    /// Not what the provider gave out.
    #[error("is not base64 after its whsec_; copy it whole from the provider")]
    NotBase64,
}

/// The 32 bytes that a signature should be.
pub(super) type Signature = [u8; 32];

impl Key {
    pub(super) fn new(secret: &[u8]) -> Result<Self, KeyError> {
        if secret.trim_ascii().is_empty() {
            return Err(KeyError::Blank);
        }
        // An HMAC key may have any length, so this refuses nothing.
        Hmac::new_from_slice(secret).map(Self).map_err(|_| KeyError::Blank)
    }

    pub(super) fn from_base64(secret: &str) -> Result<Self, KeyError> {
        if secret.trim().is_empty() {
            return Err(KeyError::Blank);
        }
        let secret = STANDARD.decode(secret).map_err(|_| KeyError::NotBase64)?;
        // The decoded key is random bytes, and those of them that look like spaces are none.
        Hmac::new_from_slice(&secret).map(Self).map_err(|_| KeyError::Blank)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// Finds the key that makes one of the signatures of these parts, taken together. The body goes through HMAC once for
/// each key, however many signatures a stranger sends.
pub(super) fn find(keys: &[Key], parts: &[&[u8]], signatures: &[Signature]) -> Result<Verified, Refused> {
    let makes_one = |Key(key): &Key| {
        let mac = parts.iter().fold(key.clone(), |mac, part| mac.chain_update(part));
        signatures.iter().any(|signature| mac.clone().verify_slice(signature).is_ok())
    };
    keys.iter().position(makes_one).map(|key_index| Verified { key_index }).ok_or(Refused::Forged)
}

/// 64 lowercase digits and nothing else.
pub(super) fn from_hex(text: &str) -> Option<Signature> {
    let mut signature = Signature::default();
    let lowercase = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    (lowercase && hex::decode_to_slice(text, &mut signature).is_ok()).then_some(signature)
}

/// Standard alphabet, padded, no stray bits at the end.
pub(super) fn from_base64(text: &str) -> Option<Signature> {
    STANDARD.decode(text).ok()?.try_into().ok()
}
