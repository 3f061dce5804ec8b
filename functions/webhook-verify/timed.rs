//! A timestamp and signatures in one header, such as `t=1700000000,v1=<hex>,v1=<hex>`: Stripe's way, and that of those who
//! learned from Stripe.
//!
//! While a secret is rolled there is a signature for each, and any of them will do.

use super::{
    Refused, Signed, Verified, header,
    header::Window,
    key::{self, Key},
    settings::MacFormat,
};

/// How one provider writes it.
pub(super) struct Timed {
    pub(super) header: &'static str,
    /// Between the items of the header.
    pub(super) separator: char,
    /// The name of the timestamp's item.
    pub(super) time: &'static str,
    /// Whether an item of that name is a signature.
    pub(super) is_signature: fn(&str) -> bool,
    /// Between timestamp and body, in what is signed.
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
        // Nobody writes spaces; a joined line may have one after its comma, which would hide the second timestamp. Where
        // commas separate nothing, they are signs of joining themselves.
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
                // One that can't be read can't match, and takes nothing from its neighbours.
                signatures.extend(mac.decode(value));
            }
        }
        // Two lines that were joined have two.
        if signatures.len() > header::MAX_SIGNATURES {
            return Err(Refused::TooMany(self.header));
        }
        let [timestamp] = timestamps[..] else { return Err(malformed) };
        window.check(timestamp, malformed)?;
        key::find(keys, &[timestamp.as_bytes(), self.border.as_bytes(), request.body], &signatures)
    }
}
