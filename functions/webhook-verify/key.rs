//! Prepared keys: MACs compared in constant time, public-key signatures verified strictly, and both decoded strictly.

use std::fmt;

use base64::{
    Engine as _, alphabet,
    engine::{
        DecodePaddingMode,
        general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD},
    },
};
use p256::{ecdsa::signature::MultipartVerifier as _, pkcs8::DecodePublicKey as _};
use ring::hmac::{self, HMAC_SHA1_FOR_LEGACY_USE_ONLY as HMAC_SHA1, HMAC_SHA256, HMAC_SHA512};
use subtle::ConstantTimeEq as _;

use super::{Refused, Verified, certificate};

/// Lenient base64, for secrets: some are issued without padding, or with unused bits set in the last character, and every reference library of
/// Standard Webhooks accepts those. Signatures are decoded strictly.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A key that verifies signatures. Made by [`Scheme::key`](super::Scheme::key).
#[derive(Clone)]
pub struct Key(Kind);

#[derive(Clone)]
enum Kind {
    Hmac(hmac::Key),
    Sha1OrSha256([hmac::Key; 2]),
    Ed25519(ed25519_dalek::VerifyingKey),
    P256(p256::ecdsa::VerifyingKey),
    Rsa(Vec<u8>),
}

/// A secret that is not a usable key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Empty, or only spaces.
    #[error("is blank; anybody could sign with it")]
    Blank,
    /// Not in the provider's format.
    #[error("is not base64 after its whsec_; copy it whole from the provider")]
    NotBase64,
    /// Not in the provider's format.
    #[error("is not hex; copy it whole from the provider")]
    NotHex,
    /// The scheme uses public keys, and this is not one.
    #[error("is not the public key that the scheme is checked with; copy it whole from the provider")]
    NotPublic,
}

impl Key {
    pub(super) fn sha1(secret: &str) -> Result<Self, KeyError> {
        Ok(Self::hmac(HMAC_SHA1, not_blank(secret)?.as_bytes()))
    }

    /// A key for both hashes; the length of a signature tells which one is used.
    pub(super) fn sha1_or_sha256(secret: &str) -> Result<Self, KeyError> {
        let secret = not_blank(secret)?.as_bytes();
        Ok(Self(Kind::Sha1OrSha256([HMAC_SHA1, HMAC_SHA256].map(|hash| hmac::Key::new(hash, secret)))))
    }

    pub(super) fn sha256(secret: &str) -> Result<Self, KeyError> {
        Ok(Self::hmac(HMAC_SHA256, not_blank(secret)?.as_bytes()))
    }

    pub(super) fn sha512(secret: &str) -> Result<Self, KeyError> {
        Ok(Self::hmac(HMAC_SHA512, not_blank(secret)?.as_bytes()))
    }

    /// A base64 key. The decoded key is random bytes, so its bytes are never trimmed as spaces.
    pub(super) fn sha256_from_base64(secret: &str) -> Result<Self, KeyError> {
        let secret = LENIENT.decode(not_blank(secret)?).map_err(|_| KeyError::NotBase64)?;
        Ok(Self::hmac(HMAC_SHA256, &secret))
    }

    /// A hex key, in upper or lower case.
    pub(super) fn sha256_from_hex(secret: &str) -> Result<Self, KeyError> {
        let secret = hex::decode(not_blank(secret)?.trim()).map_err(|_| KeyError::NotHex)?;
        Ok(Self::hmac(HMAC_SHA256, &secret))
    }

    fn hmac(hash: hmac::Algorithm, secret: &[u8]) -> Self {
        Self(Kind::Hmac(hmac::Key::new(hash, secret)))
    }

    pub(super) fn ed25519_from_base64(key: &str) -> Result<Self, KeyError> {
        let key = LENIENT.decode(not_blank(key)?).map_err(|_| KeyError::NotPublic)?;
        Self::ed25519(&key.try_into().map_err(|_| KeyError::NotPublic)?)
    }

    pub(super) fn ed25519_from_hex(key: &str) -> Result<Self, KeyError> {
        Self::ed25519(&from_hex(not_blank(key)?).ok_or(KeyError::NotPublic)?)
    }

    /// An Ed25519 public key. A key of small order is refused: some signatures are valid for any message under it.
    fn ed25519(key: &[u8; 32]) -> Result<Self, KeyError> {
        match ed25519_dalek::VerifyingKey::from_bytes(key) {
            Ok(key) if !key.is_weak() => Ok(Self(Kind::Ed25519(key))),
            _ => Err(KeyError::NotPublic),
        }
    }

    /// A P-256 public key, from the base64 of its `SubjectPublicKeyInfo`.
    pub(super) fn p256_from_base64(key: &str) -> Result<Self, KeyError> {
        let der = STANDARD.decode(not_blank(key)?).map_err(|_| KeyError::NotPublic)?;
        let key = p256::ecdsa::VerifyingKey::from_public_key_der(&der).map_err(|_| KeyError::NotPublic)?;
        Ok(Self(Kind::P256(key)))
    }

    /// An RSA public key, from a certificate in PEM.
    pub(super) fn rsa_from_certificate(pem: &str) -> Result<Self, KeyError> {
        certificate::rsa_key(not_blank(pem)?).map(|key| Self(Kind::Rsa(key))).ok_or(KeyError::NotPublic)
    }

    /// Whether this is a valid RSA signature by this key.
    pub(super) fn rsa_signed(&self, hash: certificate::Hash, message: &[u8], signature: &[u8]) -> bool {
        match &self.0 {
            Kind::Rsa(key) => certificate::signed(key, hash, message, signature),
            _ => false,
        }
    }

    /// Whether one of the signatures is valid for the concatenated parts.
    fn signed<S: AsRef<[u8]>>(&self, parts: &[&[u8]], signatures: &[S]) -> bool {
        match &self.0 {
            Kind::Hmac(key) => makes(key, parts, signatures),
            Kind::Sha1OrSha256(keys) => keys.iter().any(|key| makes(key, parts, signatures)),
            Kind::Ed25519(key) => {
                let message = parts.concat();
                let read = |signature: &S| ed25519_dalek::Signature::from_slice(signature.as_ref()).ok();
                // Strict verification: only the canonical signature of RFC 8032 is accepted.
                signatures.iter().filter_map(read).any(|each| key.verify_strict(&message, &each).is_ok())
            }
            // RSA keys verify whole messages, not parts.
            Kind::Rsa(_) => false,
            Kind::P256(key) => {
                let read = |signature: &S| p256::ecdsa::Signature::from_der(signature.as_ref()).ok();
                signatures.iter().filter_map(read).any(|each| key.multipart_verify(parts, &each).is_ok())
            }
        }
    }

    /// Whether the token equals the secret. Compares both keys' HMACs of the empty message, in constant time.
    pub(super) fn is(&self, token: &str) -> bool {
        let token = hmac::sign(&hmac::Key::new(HMAC_SHA256, token.as_bytes()), b"");
        matches!(&self.0, Kind::Hmac(key) if hmac::verify(key, b"", token.as_ref()).is_ok())
    }

    /// The hex HMAC of a text, for a provider that requests it. Never use it on a text that could be a signed request.
    pub(super) fn sign(&self, text: &str) -> Option<String> {
        match &self.0 {
            Kind::Hmac(key) => Some(hex::encode(hmac::sign(key, text.as_bytes()))),
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

/// Computes the HMAC of the body once per key, however many signatures a request has.
fn makes<S: AsRef<[u8]>>(key: &hmac::Key, parts: &[&[u8]], signatures: &[S]) -> bool {
    let mut mac = hmac::Context::with_key(key);
    parts.iter().for_each(|part| mac.update(part));
    let mac = mac.sign();
    signatures.iter().any(|signature| mac.as_ref().ct_eq(signature.as_ref()).into())
}

/// Finds the key for which one of the signatures of the concatenated parts is valid.
pub(super) fn find<S: AsRef<[u8]>>(
    keys: &[Key],
    parts: &[&[u8]],
    signatures: &[S],
) -> Result<Verified, Refused> {
    let position = keys.iter().position(|key| key.signed(parts, signatures));
    position.map(|key_index| Verified { key_index }).ok_or(Refused::Forged)
}

/// Decodes hex: exactly two lowercase digits per byte.
pub(super) fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let lowercase = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    (lowercase && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(bytes)
}

/// Decodes base64: the standard alphabet, padded, no unused bits set.
pub(super) fn from_base64<const N: usize>(text: &str) -> Option<[u8; N]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}
