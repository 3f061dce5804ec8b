//! GitLab's secret token: `X-Gitlab-Token`, the secret itself
//! (<https://docs.gitlab.com/user/project/integrations/webhooks/>). GitLab's signing token is `standard-webhooks`.
//!
//! **Nothing is signed.** Anyone who sees one webhook has the secret, and can send any content. There is no timestamp, and ids are headers.
//! GitLab's timeout is ten seconds, and a redelivery has the same idempotency key.

use http::HeaderMap;

use crate::{
    Identity, Refused, Signed, Verified, header, header::Window, key::Key, provider::Provider,
    settings::Settings,
};

pub(super) static PROVIDER: Provider =
    Provider { signed: &[], ..Provider::new("gitlab", verify, |headers, _| identity(headers)) };

fn verify(_: &Settings, request: &Signed<'_>, keys: &[Key], _: Window) -> Result<Verified, Refused> {
    let token = header::only(request.headers, "x-gitlab-token")?;
    let key_index = keys.iter().position(|key| key.is(token)).ok_or(Refused::Forged)?;
    Ok(Verified { key_index })
}

/// The type is the hook's, such as `Push Hook`.
fn identity(headers: &HeaderMap) -> Identity {
    let id = ["idempotency-key", "x-gitlab-event-uuid"].iter().find_map(|name| header::text(headers, name));
    Identity::new(id, header::text(headers, "x-gitlab-event"))
}
