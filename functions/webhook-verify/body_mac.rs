//! An HMAC of the body alone, in one header: the most common scheme. There is no timestamp, so an old delivery stays valid. A provider with this
//! scheme needs an id in the body, or a run id that is the body's digest.

use http::header::AsHeaderName;

use super::{
    Refused, Signed, Verified, header,
    key::{self, Key},
    settings::MacFormat,
};

/// The format of one provider.
pub(super) struct BodyMac {
    pub(super) header: &'static str,
    /// The text before the signature.
    pub(super) prefix: &'static str,
    pub(super) mac: MacFormat,
}

impl BodyMac {
    pub(super) fn verify(&self, request: &Signed<'_>, keys: &[Key]) -> Result<Verified, Refused> {
        verify_in(self.header, self.header, self.prefix, self.mac, request, keys)
    }
}

/// Verifies the only line of a header, called `known_as` in the log. Two joined lines are longer than a signature, so they
/// are refused.
pub(super) fn verify_in(
    name: impl AsHeaderName,
    known_as: &'static str,
    prefix: &str,
    mac: MacFormat,
    request: &Signed<'_>,
    keys: &[Key],
) -> Result<Verified, Refused> {
    let line = header::only_as(request.headers, name, known_as)?;
    let signature = line.strip_prefix(prefix).and_then(|text| mac.decode(text));
    key::find(keys, &[request.body], &[signature.ok_or(Refused::Malformed(known_as))?])
}
