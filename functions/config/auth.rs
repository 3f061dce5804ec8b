//! `auth`: the credentials or the signature of a request.

use http::HeaderName;

use super::{problems::Problems, secret_name, section::Section};

/// Source of the credentials. The strings are names of secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Bearer <secret>`.
    Bearer(String),
    /// `Authorization: Basic <base64 of the secret, user:password>`.
    Basic(String),
    /// A custom header, such as `X-Api-Key`.
    Header {
        /// The header's name.
        name: HeaderName,
        /// The secret's name.
        secret: String,
    },
    /// Signature in `webhook-id`, `webhook-timestamp` and `webhook-signature`, made with a secret `whsec_…`.
    StandardWebhooks(String),
    /// AWS Signature Version 4, with the function's role: no secret is named.
    Aws {
        /// The service's signing name: `events`, `sqs`, `sns`.
        service: String,
        /// The region; the function's own if absent.
        region: Option<String>,
    },
}

impl Auth {
    /// The name of the secret, if there is one.
    #[must_use]
    pub fn secret(&self) -> Option<&str> {
        match self {
            Self::Aws { .. } => None,
            Self::Bearer(secret)
            | Self::Basic(secret)
            | Self::Header { secret, .. }
            | Self::StandardWebhooks(secret) => Some(secret),
        }
    }

    pub(super) fn read(mut section: Section, problems: &mut Problems) -> Option<Self> {
        let name = "the name of a secret";
        let bearer: Option<String> = section.optional("bearer", name, problems);
        let basic: Option<String> = section.optional("basic", name, problems);
        let header: Option<String> = section.optional("header", "the name of a header", problems);
        let secret: Option<String> = section.optional("secret", name, problems);
        let signs: Option<String> = section.optional("standard_webhooks", name, problems);
        let aws: Option<String> = section.optional("aws", "a service such as \"events\"", problems);
        let region: Option<String> = section.optional("region", "a region such as \"eu-west-1\"", problems);
        if region.is_some() && aws.is_none() {
            problems.add(section.path("region"), "is of aws only; remove it");
        }
        let auth = match (bearer, basic, header, secret, signs, aws) {
            (None, None, None, None, None, Some(service)) => read_aws(service, region, &section, problems),
            (Some(secret), None, None, None, None, None) => Some(Self::Bearer(secret)),
            (None, Some(secret), None, None, None, None) => Some(Self::Basic(secret)),
            (None, None, None, None, Some(secret), None) => Some(Self::StandardWebhooks(secret)),
            (None, None, Some(header), Some(secret), None, None) => match header.parse() {
                Ok(name) => Some(Self::Header { name, secret }),
                Err(_) => {
                    problems.add(section.path("header"), format!("{header:?} is not the name of a header"));
                    None
                }
            },
            _ => {
                let message = "write one of { bearer = \"NAME\" }, { basic = \"NAME\" }, { header = \"X-Api-Key\", secret = \"NAME\" }, { standard_webhooks = \"NAME\" }, { aws = \"events\" }";
                problems.add(section.place(), message);
                None
            }
        };
        if let Some(secret) = auth.as_ref().and_then(Self::secret) {
            secret_name::check(secret, section.place(), problems);
        }
        section.finish(problems);
        auth
    }
}

/// Service and region are not verified with AWS, so malformed values are reported at start.
fn read_aws(
    service: String,
    region: Option<String>,
    section: &Section,
    problems: &mut Problems,
) -> Option<Auth> {
    let legal = |name: &str| {
        let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !name.is_empty() && name.bytes().all(legal)
    };
    for (field, name) in [("aws", Some(&service)), ("region", region.as_ref())] {
        if name.is_some_and(|name| !legal(name)) {
            problems.add(
                section.path(field),
                "not a name of an AWS service or region: a-z, 0-9 and -, such as events or eu-west-1",
            );
        }
    }
    Some(Auth::Aws { service, region })
}
