//! The URL that the provider called, for schemes that sign it. It is configured: behind a custom domain, API Gateway does not pass the domain's
//! path, and not always its name.

use std::str::FromStr;

use url::Url;

/// The configured URL, kept exactly as written, because any changed byte changes the signature. Its query is dropped: the request has its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    base: String,
    with_port: String,
    without_port: String,
}

/// Not a valid webhook URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a URL that a provider could send to; write it as it stands there, https://hooks.example.com/webhooks/NAME"
)]
pub struct NotPublic;

impl PublicUrl {
    /// The URL with the request's query.
    pub(super) fn with(&self, query: &str) -> String {
        join(&self.base, query)
    }

    /// The URL with the request's query: without a port, and with the port, by default the scheme's.
    pub(super) fn both_ports_with(&self, query: &str) -> [String; 2] {
        [join(&self.without_port, query), join(&self.with_port, query)]
    }
}

fn join(base: &str, query: &str) -> String {
    if query.is_empty() { base.to_owned() } else { format!("{base}?{query}") }
}

impl FromStr for PublicUrl {
    type Err = NotPublic;

    fn from_str(text: &str) -> Result<Self, NotPublic> {
        let base = text.split('?').next().unwrap_or_default();
        let url = Url::parse(base).map_err(|_| NotPublic)?;
        let (scheme, rest) = base.split_once("://").ok_or(NotPublic)?;
        let default_port = match scheme {
            "https" => 443,
            "http" => 80,
            _ => return Err(NotPublic),
        };
        if !text.bytes().all(|b| b.is_ascii_graphic()) || url.fragment().is_some() {
            return Err(NotPublic);
        }
        // A path is required, so that the end of the host or port is unambiguous.
        let (authority, path) = rest.split_at(rest.find('/').ok_or(NotPublic)?);
        // At the last colon, unless that is part of an IPv6 address.
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
                (host, port)
            }
            _ => (authority, ""),
        };
        let with_port = match port {
            "" => format!("{scheme}://{host}:{default_port}{path}"),
            _ => base.to_owned(),
        };
        Ok(Self { base: base.to_owned(), with_port, without_port: format!("{scheme}://{host}{path}") })
    }
}
