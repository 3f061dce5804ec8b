//! `v0=<hex>`, the HMAC of `v0:timestamp:body`, with the timestamp in another header: the format of Slack and Zoom.

use super::{
    Refused, Signed, Verified, header,
    header::Window,
    key::{self, Key},
};

/// The two headers.
pub(super) struct V0 {
    pub(super) signature: &'static str,
    pub(super) timestamp: &'static str,
}

impl V0 {
    pub(super) fn verify(
        &self,
        request: &Signed<'_>,
        keys: &[Key],
        window: Window,
    ) -> Result<Verified, Refused> {
        let line = header::only(request.headers, self.signature)?;
        let timestamp = header::only(request.headers, self.timestamp)?;
        window.check(timestamp, Refused::Malformed(self.timestamp))?;
        // Two joined lines are longer than a signature.
        let signature = line.strip_prefix("v0=").and_then(key::from_hex::<32>);
        let signature = signature.ok_or(Refused::Malformed(self.signature))?;
        key::find(keys, &[b"v0:", timestamp.as_bytes(), b":", request.body], &[signature])
    }
}
