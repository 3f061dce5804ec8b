//! The source fields that only some schemes use.

use http::HeaderName;
use serde::Deserialize;

use super::{
    PublicUrl, Refused,
    key::{self, Key, KeyError},
    location::Topic,
};

/// A source field that only some schemes use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// `public_url`, required: the URL that the provider calls.
    PublicUrl,
    /// `header`, required: the header with the signature.
    Header,
    /// `prefix`: the text before the signature.
    Prefix,
    /// `encoding` and `algorithm` of the HMAC.
    Mac,
    /// `header`: the header with the secret, if not `Authorization`.
    TokenHeader,
    /// `topics`, required, instead of `secrets`: the ARNs of SNS topics.
    Topics,
    /// `verify_token`: name of the secret that a GET request must contain.
    VerifyToken,
}

/// The values of these fields; unused fields have their defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// The URL that the provider calls.
    pub public_url: Option<PublicUrl>,
    /// The header with the signature.
    pub header: Option<HeaderName>,
    /// The text before the signature, such as `sha256=`.
    pub prefix: String,
    /// The topics whose messages are accepted.
    pub topics: Vec<Topic>,
    /// The HMAC's hash and encoding.
    pub mac: MacFormat,
}

/// The hash and encoding of an HMAC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MacFormat {
    /// The hash.
    pub algorithm: Algorithm,
    /// The encoding.
    pub encoding: Encoding,
}

/// The encoding of bytes in a header.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Two lowercase digits per byte.
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
    /// SHA-1, for providers that offer nothing better; sources can't select it.
    #[serde(skip)]
    Sha1,
}

impl Settings {
    /// The public URL. The configuration is not valid without it, so the error means that a scheme did not require it.
    pub(super) fn public_url(&self) -> Result<&PublicUrl, Refused> {
        self.public_url.as_ref().ok_or(Refused::Unconfigured("public_url"))
    }

    /// See [`Settings::public_url`].
    pub(super) fn header(&self) -> Result<&HeaderName, Refused> {
        self.header.as_ref().ok_or(Refused::Unconfigured("header"))
    }
}

impl MacFormat {
    pub(super) const SHA1_HEX: Self = Self { algorithm: Algorithm::Sha1, encoding: Encoding::Hex };
    pub(super) const SHA256_HEX: Self = Self { algorithm: Algorithm::Sha256, encoding: Encoding::Hex };
    pub(super) const SHA256_BASE64: Self = Self { algorithm: Algorithm::Sha256, encoding: Encoding::Base64 };

    pub(super) fn key(self, secret: &str) -> Result<Key, KeyError> {
        match self.algorithm {
            Algorithm::Sha256 => Key::sha256(secret),
            Algorithm::Sha512 => Key::sha512(secret),
            Algorithm::Sha1 => Key::sha1(secret),
        }
    }

    /// Decodes a signature in this format, and in no other.
    pub(super) fn decode(self, text: &str) -> Option<Vec<u8>> {
        match (self.algorithm, self.encoding) {
            (Algorithm::Sha256, Encoding::Hex) => key::from_hex::<32>(text).map(Vec::from),
            (Algorithm::Sha256, Encoding::Base64) => key::from_base64::<32>(text).map(Vec::from),
            (Algorithm::Sha512, Encoding::Hex) => key::from_hex::<64>(text).map(Vec::from),
            (Algorithm::Sha512, Encoding::Base64) => key::from_base64::<64>(text).map(Vec::from),
            (Algorithm::Sha1, Encoding::Hex) => key::from_hex::<20>(text).map(Vec::from),
            (Algorithm::Sha1, Encoding::Base64) => key::from_base64::<20>(text).map(Vec::from),
        }
    }
}
