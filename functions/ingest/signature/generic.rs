//! `hmac`: an HMAC of the body in a header, for senders that are none of the others: which header, how it starts, how it
//! is encoded and what hash it takes are the source's settings.

use http::HeaderName;
use serde::Deserialize;
use serde_json::Value;

use super::{
    Identity, Refused, Signed, Verified, header,
    key::{self, Key, KeyError},
    text,
};

/// How the sender signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HmacSettings {
    /// The header with the signature.
    pub header: HeaderName,
    /// What stands there before the signature, such as `sha256=`.
    pub prefix: String,
    /// How the signature is written.
    pub encoding: Encoding,
    /// Which HMAC it is.
    pub algorithm: Algorithm,
}

/// How bytes are written in a header.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Two lowercase digits a byte.
    #[default]
    Hex,
    /// The standard alphabet, padded.
    Base64,
}

/// The hash of an HMAC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// SHA-256.
    #[default]
    Sha256,
    /// SHA-512.
    Sha512,
}

/// What our log calls the header.
const KNOWN_AS: &str = "configured";

impl HmacSettings {
    pub(super) fn key(&self, secret: &str) -> Result<Key, KeyError> {
        match self.algorithm {
            Algorithm::Sha256 => Key::sha256(secret),
            Algorithm::Sha512 => Key::sha512(secret),
        }
    }

    pub(super) fn verify(&self, request: &Signed<'_>, keys: &[Key]) -> Result<Verified, Refused> {
        let line = header::only_as(request.headers, &self.header, KNOWN_AS)?;
        let signature = line.strip_prefix(&self.prefix).and_then(|text| self.decode(text));
        key::find(keys, &[request.body], &[signature.ok_or(Refused::Malformed(KNOWN_AS))?])
    }

    fn decode(&self, text: &str) -> Option<Vec<u8>> {
        match (self.algorithm, self.encoding) {
            (Algorithm::Sha256, Encoding::Hex) => key::from_hex::<32>(text).map(Vec::from),
            (Algorithm::Sha256, Encoding::Base64) => key::from_base64::<32>(text).map(Vec::from),
            (Algorithm::Sha512, Encoding::Hex) => key::from_hex::<64>(text).map(Vec::from),
            (Algorithm::Sha512, Encoding::Base64) => key::from_base64::<64>(text).map(Vec::from),
        }
    }
}

/// Where the id is, only the sender knows: the source's `run_id` says. The type is where most people put it.
pub(super) fn identity(body: Option<&Value>) -> Identity {
    Identity::signed(None, ["type", "event_type", "event"].iter().find_map(|field| text(body, field)))
}
