//! The address of a broker, validated and normalised: two spellings of one address are equal.

use std::{fmt, str::FromStr};

use url::Url;

use super::Invalid;

/// Where a broker listens: an http or https URL, with or without `/v1` and a trailing slash.
///
/// Two spellings of one address (`http://Broker:80/v1/` and `http://broker`) are equal. Two names of one host are not,
/// since names are not resolved.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// Ends in `/v1/`.
    base: Url,
    name: String,
}

impl Address {
    /// A short name of the broker for logs, leases and hashing: scheme, host, the port unless it is the scheme's own, and
    /// the path if a proxy needs one. It holds no credentials, because an address with credentials is refused.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is a loopback address or `localhost`.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self.base.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
            Some(url::Host::Ipv6(ip)) => ip.to_canonical().is_loopback(),
            None => false,
        }
    }

    /// Whether requests to it are unencrypted on a network: `http` to another machine.
    #[must_use]
    pub fn is_exposed(&self) -> bool {
        self.base.scheme() == "http" && !self.is_loopback()
    }

    /// The URL that API paths are appended to.
    pub(super) fn base(&self) -> &Url {
        &self.base
    }
}

impl FromStr for Address {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let mut base =
            Url::parse(text).map_err(|error| Invalid::Url(format!("is not a URL ({error})").into()))?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(Invalid::Url("is neither http nor https".into()));
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(Invalid::Url("holds credentials, which belong in the authorisation".into()));
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err(Invalid::Url("has a query or a fragment".into()));
        }
        let path = base.path().trim_end_matches('/');
        let path = path.strip_suffix("/v1").unwrap_or(path).trim_end_matches('/').to_owned();
        let name = format!("{}{path}", base.origin().ascii_serialization());
        base.set_path(&format!("{path}/v1/"));
        Ok(Self { base, name })
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.base.as_str())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    #[test]
    fn spellings_of_one_address_are_equal() {
        for text in ["http://broker:80", "http://Broker/", "http://broker/v1", " http://broker:80/v1// "] {
            assert_eq!((address(text), address(text).name()), (address("http://broker"), "http://broker"));
        }
    }

    #[test]
    fn different_brokers_have_different_names() {
        for (text, name) in [
            ("http://broker:8080/v1", "http://broker:8080"),
            ("https://broker:8080", "https://broker:8080"),
            ("http://[fd00::1]:8080", "http://[fd00::1]:8080"),
            ("https://proxy/one/v1/", "https://proxy/one"),
            ("https://proxy/two", "https://proxy/two"),
        ] {
            assert_eq!(address(text).name(), name);
        }
    }

    #[test]
    fn what_another_machine_is_sent_by_http_is_exposed() {
        for (text, is_exposed) in [
            ("http://broker:8080", true),
            ("http://10.0.0.5", true),
            ("http://localhost.example", true),
            ("https://broker", false),
            ("http://localhost:8080", false),
            ("http://127.0.0.2", false),
            ("http://[::1]", false),
        ] {
            assert_eq!(address(text).is_exposed(), is_exposed, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", "h:8080", "/v1", "ftp://h", "http://", "http://u:p@h", "http://h?x=1", "http://h#x"]
        {
            let refused = text.parse::<Address>();
            assert!(matches!(refused, Err(Invalid::Url(_))), "{text}: {refused:?}");
        }
    }
}
