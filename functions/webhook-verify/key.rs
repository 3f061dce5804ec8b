//! A secret, ready for use: MACs compared in constant time, public-key signatures checked strictly, and both read strictly.

use std::fmt;

use base64::{
    Engine as _, alphabet,
    engine::{
        DecodePaddingMode,
        general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD},
    },
};
use hmac::{Hmac, KeyInit as _, Mac, digest::InvalidLength};
use p256::{ecdsa::signature::MultipartVerifier as _, pkcs8::DecodePublicKey as _};
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use super::{Refused, Verified, certificate};

/// For secrets: some are given out without padding, or with stray bits in the last character, and every reference library of
/// Standard Webhooks takes those. Signatures are read strictly.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// What a signature is checked with. Made by [`Scheme::key`](super::Scheme::key).
#[derive(Clone)]
pub struct Key(Kind);

#[derive(Clone)]
enum Kind {
    Sha1(Hmac<Sha1>),
    Sha1OrSha256(Hmac<Sha1>, Hmac<Sha256>),
    Sha256(Hmac<Sha256>),
    Sha512(Hmac<Sha512>),
    Ed25519(ed25519_dalek::VerifyingKey),
    P256(p256::ecdsa::VerifyingKey),
    Rsa(Vec<u8>),
}

/// A secret that can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Nothing, or only spaces.
    #[error("is blank; anybody could sign with it")]
    Blank,
    /// Not what the provider gave out.
    #[error("is not base64 after its whsec_; copy it whole from the provider")]
    NotBase64,
    /// Not what the provider gave out.
    #[error("is not hex; copy it whole from the provider")]
    NotHex,
    /// The scheme is checked with a public key, and this is none.
    #[error("is not the public key that the scheme is checked with; copy it whole from the provider")]
    NotPublic,
}

/// An HMAC key may have any length, so only a blank one is refused.
impl From<InvalidLength> for KeyError {
    fn from(_: InvalidLength) -> Self {
        Self::Blank
    }
}

impl Key {
    pub(super) fn sha1(secret: &str) -> Result<Self, KeyError> {
        Ok(Self(Kind::Sha1(Hmac::new_from_slice(not_blank(secret)?.as_bytes())?)))
    }

    /// The length of a signature says which of the two it is.
    pub(super) fn sha1_or_sha256(secret: &str) -> Result<Self, KeyError> {
        let secret = not_blank(secret)?.as_bytes();
        Ok(Self(Kind::Sha1OrSha256(Hmac::new_from_slice(secret)?, Hmac::new_from_slice(secret)?)))
    }

    pub(super) fn sha256(secret: &str) -> Result<Self, KeyError> {
        Ok(Self(Kind::Sha256(Hmac::new_from_slice(not_blank(secret)?.as_bytes())?)))
    }

    pub(super) fn sha512(secret: &str) -> Result<Self, KeyError> {
        Ok(Self(Kind::Sha512(Hmac::new_from_slice(not_blank(secret)?.as_bytes())?)))
    }

    /// The decoded key is random bytes, and those of them that look like spaces are none.
    pub(super) fn sha256_from_base64(secret: &str) -> Result<Self, KeyError> {
        let secret = LENIENT.decode(not_blank(secret)?).map_err(|_| KeyError::NotBase64)?;
        Ok(Self(Kind::Sha256(Hmac::new_from_slice(&secret)?)))
    }

    /// The key is written in hex, in either case.
    pub(super) fn sha256_from_hex(secret: &str) -> Result<Self, KeyError> {
        let secret = hex::decode(not_blank(secret)?.trim()).map_err(|_| KeyError::NotHex)?;
        Ok(Self(Kind::Sha256(Hmac::new_from_slice(&secret)?)))
    }

    pub(super) fn ed25519_from_base64(key: &str) -> Result<Self, KeyError> {
        let key = LENIENT.decode(not_blank(key)?).map_err(|_| KeyError::NotPublic)?;
        Self::ed25519(&key.try_into().map_err(|_| KeyError::NotPublic)?)
    }

    pub(super) fn ed25519_from_hex(key: &str) -> Result<Self, KeyError> {
        Self::ed25519(&from_hex(not_blank(key)?).ok_or(KeyError::NotPublic)?)
    }

    /// A key of small order is refused: there are signatures that it takes for any message.
    fn ed25519(key: &[u8; 32]) -> Result<Self, KeyError> {
        match ed25519_dalek::VerifyingKey::from_bytes(key) {
            Ok(key) if !key.is_weak() => Ok(Self(Kind::Ed25519(key))),
            _ => Err(KeyError::NotPublic),
        }
    }

    /// From the base64 of its `SubjectPublicKeyInfo`.
    pub(super) fn p256_from_base64(key: &str) -> Result<Self, KeyError> {
        let der = STANDARD.decode(not_blank(key)?).map_err(|_| KeyError::NotPublic)?;
        let key = p256::ecdsa::VerifyingKey::from_public_key_der(&der).map_err(|_| KeyError::NotPublic)?;
        Ok(Self(Kind::P256(key)))
    }

    /// From a certificate, as PEM.
    pub(super) fn rsa_from_certificate(pem: &str) -> Result<Self, KeyError> {
        certificate::rsa_key(not_blank(pem)?).map(|key| Self(Kind::Rsa(key))).ok_or(KeyError::NotPublic)
    }

    /// Whether this is its RSA signature.
    pub(super) fn rsa_signed(&self, hash: certificate::Hash, message: &[u8], signature: &[u8]) -> bool {
        match &self.0 {
            Kind::Rsa(key) => certificate::signed(key, hash, message, signature),
            _ => false,
        }
    }

    /// Whether one of these is its signature of these parts, taken together.
    fn signed<S: AsRef<[u8]>>(&self, parts: &[&[u8]], signatures: &[S]) -> bool {
        match &self.0 {
            Kind::Sha1(key) => makes(key, parts, signatures),
            Kind::Sha1OrSha256(sha1, sha256) => {
                makes(sha1, parts, signatures) || makes(sha256, parts, signatures)
            }
            Kind::Sha256(key) => makes(key, parts, signatures),
            Kind::Sha512(key) => makes(key, parts, signatures),
            Kind::Ed25519(key) => {
                let message = parts.concat();
                let read = |signature: &S| ed25519_dalek::Signature::from_slice(signature.as_ref()).ok();
                // Strictly: only the one signature that RFC 8032 gives for a key and message is taken.
                signatures.iter().filter_map(read).any(|each| key.verify_strict(&message, &each).is_ok())
            }
            // What it signs is not told in parts.
            Kind::Rsa(_) => false,
            Kind::P256(key) => {
                let read = |signature: &S| p256::ecdsa::Signature::from_der(signature.as_ref()).ok();
                signatures.iter().filter_map(read).any(|each| key.multipart_verify(parts, &each).is_ok())
            }
        }
    }

    /// Whether this is the secret itself. Compares both keys' HMACs of the empty message, in constant time.
    pub(super) fn is(&self, token: &str) -> bool {
        match (&self.0, Hmac::<Sha256>::new_from_slice(token.as_bytes())) {
            (Kind::Sha256(key), Ok(token)) => key.clone().verify(&token.finalize().into_bytes()).is_ok(),
            _ => false,
        }
    }

    /// The hex HMAC-SHA256 of a text, for a provider that asks for it. Never of a text that could be a signed request.
    pub(super) fn sign(&self, text: &str) -> Option<String> {
        match &self.0 {
            Kind::Sha256(key) => Some(hex::encode(key.clone().chain_update(text).finalize().into_bytes())),
            _ => None,
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

fn not_blank(secret: &str) -> Result<&str, KeyError> {
    if secret.trim().is_empty() { Err(KeyError::Blank) } else { Ok(secret) }
}

/// The body goes through HMAC once for each key, however many signatures a stranger sends.
fn makes<M: Mac + Clone, S: AsRef<[u8]>>(key: &M, parts: &[&[u8]], signatures: &[S]) -> bool {
    let mac = parts.iter().fold(key.clone(), |mac, part| mac.chain_update(part));
    signatures.iter().any(|signature| mac.clone().verify_slice(signature.as_ref()).is_ok())
}

/// Finds the key that made one of the signatures of these parts, taken together.
pub(super) fn find<S: AsRef<[u8]>>(
    keys: &[Key],
    parts: &[&[u8]],
    signatures: &[S],
) -> Result<Verified, Refused> {
    let position = keys.iter().position(|key| key.signed(parts, signatures));
    position.map(|key_index| Verified { key_index }).ok_or(Refused::Forged)
}

/// Two lowercase digits a byte and nothing else.
pub(super) fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let lowercase = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    (lowercase && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(bytes)
}

/// Standard alphabet, padded, no stray bits at the end.
pub(super) fn from_base64<const N: usize>(text: &str) -> Option<[u8; N]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}
