//! `allow` of a source: the networks that its webhooks come from, where a provider publishes them. It is an additional check beside the
//! signature and never replaces it. The address is the one that AWS saw; behind your own proxy, that is the proxy's.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{problems::Problems, section::Section};

/// Where webhooks may come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Allow {
    /// From anywhere.
    #[default]
    Anyone,
    /// From these networks.
    Networks(Vec<IpNet>),
}

impl Allow {
    /// Whether a webhook may come from this address. If there is a list, an unknown address is refused.
    #[must_use]
    pub fn includes(&self, from: Option<IpAddr>) -> bool {
        match self {
            Self::Anyone => true,
            Self::Networks(networks) => {
                from.is_some_and(|ip| networks.iter().any(|network| network.contains(&ip.to_canonical())))
            }
        }
    }

    pub(super) fn read(section: &mut Section, problems: &mut Problems) -> Self {
        let expected = "networks such as [\"192.0.2.0/24\"]";
        let Some(texts) = section.optional::<Vec<String>>("allow", expected, problems) else {
            return Self::Anyone;
        };
        if texts.is_empty() {
            problems.add(section.path("allow"), "empty; nobody could send. Leave it out to allow everybody");
        }
        let mut networks = Vec::new();
        for text in texts {
            match network(&text) {
                Ok(network) => networks.push(network),
                Err(problem) => problems.add(section.path("allow"), problem),
            }
        }
        Self::Networks(networks)
    }
}

/// Parses a network. A single address is a network of one. An address with bits set after its prefix is an error, since it is ambiguous.
fn network(text: &str) -> Result<IpNet, String> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    match text.parse::<IpNet>().or_else(|_| address()) {
        Ok(network) if network == network.trunc() => Ok(network),
        Ok(network) => Err(format!("{text:?} is an address in a network; write {}", network.trunc())),
        Err(_) => Err(format!("{text:?} is no network; write 192.0.2.0/24 or 2001:db8::/32")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_in_the_networks_are_included() {
        let allow = Allow::Networks(
            ["192.0.2.0/24", "198.51.100.7", "2001:db8::/32"].map(|n| network(n).unwrap()).into(),
        );
        let included = |ip: &str| allow.includes(Some(ip.parse().unwrap()));
        for ip in ["192.0.2.0", "192.0.2.255", "198.51.100.7", "::ffff:192.0.2.1", "2001:db8:1::1"] {
            assert!(included(ip), "{ip}");
        }
        for ip in ["192.0.3.0", "198.51.100.8", "2001:db9::1", "::1"] {
            assert!(!included(ip), "{ip}");
        }
        assert!(!allow.includes(None), "an address that nobody told");
        assert!(Allow::Anyone.includes(None));
    }

    #[test]
    fn what_is_no_network_is_told_from_one() {
        for text in ["", "192.0.2.0/33", "192.0.2", "example.com", "192.0.2.0/24 "] {
            assert!(network(text).unwrap_err().contains("is no network"), "{text}");
        }
        assert_eq!(
            network("192.0.2.1/24").unwrap_err(),
            "\"192.0.2.1/24\" is an address in a network; write 192.0.2.0/24"
        );
    }
}
