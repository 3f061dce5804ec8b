//! `auth`: whose credentials go with a request, or who signs it.

use http::HeaderName;

use super::{problems::Problems, section::Section, source::check_secret_name};

/// Where the credentials come from. The strings are names of secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Bearer <secret>`.
    Bearer(String),
    /// `Authorization: Basic <base64 of the secret, user:password>`.
    Basic(String),
    /// A header of its own, such as `X-Api-Key`.
    Header {
        /// Which header.
        name: HeaderName,
        /// The secret's name.
        secret: String,
    },
    /// `webhook-id`, `webhook-timestamp` and `webhook-signature`, by a secret `whsec_…`.
    StandardWebhooks(String),
}

impl Auth {
    /// The name of the secret.
    #[must_use]
    pub fn secret(&self) -> &str {
        match self {
            Self::Bearer(secret)
            | Self::Basic(secret)
            | Self::Header { secret, .. }
            | Self::StandardWebhooks(secret) => secret,
        }
    }

    pub(super) fn read(mut section: Section, problems: &mut Problems) -> Option<Self> {
        let name = "the name of a secret";
        let bearer: Option<String> = section.optional("bearer", name, problems);
        let basic: Option<String> = section.optional("basic", name, problems);
        let header: Option<String> = section.optional("header", "the name of a header", problems);
        let secret: Option<String> = section.optional("secret", name, problems);
        let signs: Option<String> = section.optional("standard_webhooks", name, problems);
        let auth = match (bearer, basic, header, secret, signs) {
            (Some(secret), None, None, None, None) => Some(Self::Bearer(secret)),
            (None, Some(secret), None, None, None) => Some(Self::Basic(secret)),
            (None, None, None, None, Some(secret)) => Some(Self::StandardWebhooks(secret)),
            (None, None, Some(header), Some(secret), None) => match header.parse() {
                Ok(name) => Some(Self::Header { name, secret }),
                Err(_) => {
                    problems.add(section.path("header"), format!("{header:?} is not the name of a header"));
                    None
                }
            },
            _ => {
                let message = "write one of { bearer = \"NAME\" }, { basic = \"NAME\" }, { header = \"X-Api-Key\", secret = \"NAME\" }, { standard_webhooks = \"NAME\" }";
                problems.add(section.place(), message);
                None
            }
        };
        if let Some(auth) = &auth {
            check_secret_name(auth.secret(), section.place(), problems);
        }
        section.finish(problems);
        auth
    }
}
