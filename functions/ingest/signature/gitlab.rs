//! GitLab: `X-Gitlab-Token`, the secret itself
//! (<https://docs.gitlab.com/user/project/integrations/webhooks/#custom-headers>).
//!
//! **Nothing is signed.** Whoever sees one webhook has the secret, and can send whatever they like. There is no timestamp,
//! and ids are headers. GitLab waits ten seconds, and redelivers under the same idempotency key.

use http::HeaderMap;

use super::{Identity, Refused, Signed, Verified, header, key::Key};

const HEADER: &str = "x-gitlab-token";

pub(super) fn verify(request: &Signed<'_>, keys: &[Key]) -> Result<Verified, Refused> {
    let token = header::only(request.headers, HEADER)?;
    let key_index = keys.iter().position(|key| key.is(token)).ok_or(Refused::Forged)?;
    Ok(Verified { key_index })
}

/// The type is the hook's, such as `Push Hook`.
pub(super) fn identity(headers: &HeaderMap) -> Identity {
    let id = ["idempotency-key", "x-gitlab-event-uuid"].iter().find_map(|name| header::text(headers, name));
    Identity::unsigned(id, header::text(headers, "x-gitlab-event").unwrap_or_default())
}
