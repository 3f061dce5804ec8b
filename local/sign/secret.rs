//! Secrets for this machine, derived from their names. They are public, and protect nothing.

use anyhow::{Context, Result};
use base64::{Engine, prelude::BASE64_STANDARD};
use sha2::{Digest, Sha256};

use super::Scheme;

/// The secrets of the shipped configuration.
const SHIPPED: [(&str, &str); 3] = [
    ("STRIPE_WEBHOOK_SECRET", "whsec_local_stripe"),
    ("GITHUB_WEBHOOK_SECRET", "local-github-secret"),
    ("STANDARD_WEBHOOK_SECRET", "whsec_bG9jYWwtc3RhbmRhcmQtd2ViaG9va3Mh"),
];

/// `SubjectPublicKeyInfo` of a P-256 key, up to the point itself (RFC 5480).
const P256_HEAD: &[u8] =
    b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\0";

/// A secret with both sides of its key; they are equal unless the scheme uses key pairs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// The key with which the provider signs.
    pub signs: String,
    /// The key with which the functions verify.
    pub checks: String,
}

impl Secret {
    /// A plain text secret, such as a third party's token.
    #[must_use]
    pub fn text(name: &str) -> Self {
        let shipped = SHIPPED.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned());
        let text = shipped.unwrap_or_else(|| format!("local-{}", name.to_lowercase().replace('_', "-")));
        Self { signs: text.clone(), checks: text }
    }

    /// The secret with that name for a source of that scheme. For Standard Webhooks, a name that ends with `_PUBLIC_KEY` is a key pair.
    #[must_use]
    pub fn named(name: &str, scheme: &Scheme) -> Self {
        let seed: [u8; 32] = Sha256::digest(name).into();
        match scheme {
            Scheme::StandardWebhooks if name.ends_with("_PUBLIC_KEY") => {
                let pair = ed25519_dalek::SigningKey::from_bytes(&seed);
                let public = BASE64_STANDARD.encode(pair.verifying_key().as_bytes());
                let private = BASE64_STANDARD.encode(pair.to_keypair_bytes());
                Self { signs: format!("whsk_{private}"), checks: format!("whpk_{public}") }
            }
            Scheme::StandardWebhooks if !SHIPPED.iter().any(|(other, _)| *other == name) => {
                let text = format!("whsec_{}", BASE64_STANDARD.encode(seed));
                Self { signs: text.clone(), checks: text }
            }
            Scheme::Discord => {
                let public = ed25519_dalek::SigningKey::from_bytes(&seed).verifying_key();
                Self { signs: hex::encode(seed), checks: hex::encode(public.as_bytes()) }
            }
            Scheme::Sendgrid => {
                let pair =
                    p256::ecdsa::SigningKey::from_slice(&seed).expect("all but 2^-32 of seeds are keys");
                let point = pair.verifying_key().to_sec1_point(false);
                let public = BASE64_STANDARD.encode([P256_HEAD, point.as_bytes()].concat());
                Self { signs: hex::encode(seed), checks: public }
            }
            Scheme::Adyen => {
                let text = hex::encode(seed);
                Self { signs: text.clone(), checks: text }
            }
            _ => Self::text(name),
        }
    }
}

/// A private key: hex of its seed, or `whsk_` and the base64 of seed and public key.
pub(super) fn ed25519(private: &str) -> Result<ed25519_dalek::SigningKey> {
    let bytes = match private.strip_prefix("whsk_") {
        Some(pair) => BASE64_STANDARD.decode(pair).ok(),
        None => hex::decode(private).ok(),
    };
    let seed = bytes.and_then(|bytes| bytes.first_chunk().copied()).context("not an Ed25519 private key")?;
    Ok(ed25519_dalek::SigningKey::from_bytes(&seed))
}

/// A private key: hex of its scalar.
pub(super) fn p256(private: &str) -> Result<p256::ecdsa::SigningKey> {
    let bytes = hex::decode(private).context("not a P-256 private key")?;
    p256::ecdsa::SigningKey::from_slice(&bytes).context("not a P-256 private key")
}
