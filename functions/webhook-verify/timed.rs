//! A timestamp and signatures in one header, such as `t=1700000000,v1=<hex>,v1=<hex>`: the format of Stripe and of providers that adopted it.
//!
//! While a secret is rotated there is a signature by each; one valid signature is enough.

use super::{
    Refused, Signed, Verified, header,
    header::Window,
    key::{self, Key},
    settings::MacFormat,
};

/// The format of one provider.
pub(super) struct Timed {
    pub(super) header: &'static str,
    /// The separator between the header's items.
    pub(super) separator: char,
    /// The name of the timestamp's item.
    pub(super) time: &'static str,
    /// Whether an item with that name is a signature.
    pub(super) is_signature: fn(&str) -> bool,
    /// The text between timestamp and body in the signed content.
    pub(super) border: &'static str,
}

impl Timed {
    pub(super) fn verify(
        &self,
        mac: MacFormat,
        request: &Signed<'_>,
        keys: &[Key],
        window: Window,
    ) -> Result<Verified, Refused> {
        let malformed = Refused::Malformed(self.header);
        let line = header::only(request.headers, self.header)?;
        // No provider sends spaces; a joined line may have one after its comma, which would hide the second timestamp. Where commas are
        // not separators, they are a sign of joined lines.
        let stray = |c: char| !c.is_ascii_graphic() || (c == ',' && self.separator != ',');
        if line.contains(stray) {
            return Err(malformed);
        }
        let mut timestamps = Vec::new();
        let mut signatures = Vec::new();
        for item in line.split(self.separator) {
            let (name, value) = item.split_once('=').ok_or(malformed)?;
            if name == self.time {
                timestamps.push(value);
            } else if (self.is_signature)(name) {
                // A malformed signature can't match, and does not affect the others.
                signatures.extend(mac.decode(value));
            }
        }
        // Two joined lines have two timestamps.
        if signatures.len() > header::MAX_SIGNATURES {
            return Err(Refused::TooMany(self.header));
        }
        let [timestamp] = timestamps[..] else { return Err(malformed) };
        window.check(timestamp, malformed)?;
        key::find(keys, &[timestamp.as_bytes(), self.border.as_bytes(), request.body], &signatures)
    }
}
