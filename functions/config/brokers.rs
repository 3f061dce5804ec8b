//! `DRIFTQ_HTTP_URL` and `DRIFTQ_DRAIN_URL`: the brokers, as two comma-separated lists.

use driftq_client::{Address, Invalid};
use serde::Serialize;

use super::problems::Problems;

/// What a broker is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It gets new commands and is read.
    Accepting,
    /// It is read and gets no new commands.
    Draining,
}

impl Role {
    /// The environment variable that lists the brokers of this role.
    #[must_use]
    pub fn variable(self) -> &'static str {
        match self {
            Self::Accepting => "DRIFTQ_HTTP_URL",
            Self::Draining => "DRIFTQ_DRAIN_URL",
        }
    }
}

/// The brokers of a deployment: at least one that accepts commands, and each in one role only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brokers {
    /// The first of `DRIFTQ_HTTP_URL`.
    pub first: Address,
    /// The others of `DRIFTQ_HTTP_URL`.
    pub more: Vec<Address>,
    /// `DRIFTQ_DRAIN_URL`: they are still read, and get no new commands.
    pub draining: Vec<Address>,
}

impl Brokers {
    /// Reads both variables. None if there is no broker to write to; the problems then say why.
    pub(super) fn read(get: impl Fn(&str) -> Option<String>, problems: &mut Problems) -> Option<Self> {
        let mut seen = Vec::new();
        let mut list = |role: Role| {
            let addresses = get(role.variable()).map(|text| list(role, &text, &mut seen, problems));
            addresses.unwrap_or_default()
        };
        let (accepting, draining) = (list(Role::Accepting), list(Role::Draining));
        if get(Role::Accepting.variable()).is_none() {
            problems.add(
                Role::Accepting.variable(),
                "missing; set it to the broker's address, such as http://10.0.0.5:8080, or to several, with commas",
            );
        }
        let mut accepting = accepting.into_iter();
        Some(Self { first: accepting.next()?, more: accepting.collect(), draining })
    }
}

/// An address and where it was read.
struct Seen {
    address: Address,
    role: Role,
    entry: usize,
}

/// The addresses of one variable. An address that is already in `seen` is a duplicate; a new one is added to
/// it.
fn list(role: Role, text: &str, seen: &mut Vec<Seen>, problems: &mut Problems) -> Vec<Address> {
    let mut addresses = Vec::new();
    for (index, text) in text.split(',').map(str::trim).enumerate() {
        let entry = index + 1;
        match check(role, text, seen) {
            Ok(address) => {
                seen.push(Seen { address: address.clone(), role, entry });
                addresses.push(address);
            }
            Err(problem) => problems.add(role.variable(), format!("entry {entry}: {problem}")),
        }
    }
    addresses
}

/// The address of one entry, or its error. A malformed entry is not quoted: it may hold credentials.
fn check(role: Role, text: &str, seen: &[Seen]) -> Result<Address, String> {
    if text.is_empty() {
        return Err("empty; remove a comma, or write an address there".to_owned());
    }
    let address: Address = text.parse().map_err(|invalid: Invalid| invalid.to_string())?;
    let Some(earlier) = seen.iter().find(|seen| seen.address == address) else { return Ok(address) };
    let entry = earlier.entry;
    if earlier.role == role {
        return Err(format!("{address} is entry {entry} too; remove one of them"));
    }
    let [accepting, draining] = [Role::Accepting, Role::Draining].map(Role::variable);
    Err(format!(
        "{address} is entry {entry} of {accepting} too; remove it there if it is to get no more commands, \
         else from {draining}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(accepting: &str, draining: &str) -> Result<Brokers, String> {
        let get = |name: &str| {
            let text = if name == Role::Accepting.variable() { accepting } else { draining };
            Some(text.to_owned()).filter(|text| !text.is_empty())
        };
        let mut problems = Problems::default();
        let brokers = Brokers::read(get, &mut problems);
        problems.or("environment", ()).map_err(|error| error.to_string())?;
        brokers.ok_or_else(|| "no broker and no problem".to_owned())
    }

    fn names(addresses: &[Address]) -> Vec<&str> {
        addresses.iter().map(Address::name).collect()
    }

    #[test]
    fn one_address_is_a_list_of_one() {
        let brokers = read("http://one:8080/v1", "").unwrap();
        assert_eq!(brokers.first.name(), "http://one:8080");
        assert!(brokers.more.is_empty() && brokers.draining.is_empty());
    }

    #[test]
    fn lists_are_separated_by_commas() {
        let brokers = read("http://one, https://two/v1 ,http://three:1", "http://old,http://older").unwrap();
        assert_eq!(brokers.first.name(), "http://one");
        assert_eq!(names(&brokers.more), ["https://two", "http://three:1"]);
        assert_eq!(names(&brokers.draining), ["http://old", "http://older"]);
    }

    #[test]
    fn a_broken_entry_is_named_with_its_variable_and_a_remedy() {
        for (accepting, draining, problem) in [
            ("", "http://old", "DRIFTQ_HTTP_URL: missing; set it to"),
            ("http://one,", "", "DRIFTQ_HTTP_URL: entry 2: empty; remove a comma"),
            (",", "", "DRIFTQ_HTTP_URL: entry 1: empty"),
            ("http://one", "http://two,,http://three", "DRIFTQ_DRAIN_URL: entry 2: empty"),
            (
                "http://one,two:8080",
                "",
                "DRIFTQ_HTTP_URL: entry 2: the broker's URL is neither http nor https; write",
            ),
            (
                "http://one,http://two,http://ONE:80/v1",
                "",
                "DRIFTQ_HTTP_URL: entry 3: http://one is entry 1 too; remove",
            ),
            ("http://one", "http://old,http://old/", "DRIFTQ_DRAIN_URL: entry 2: http://old is entry 1 too"),
            (
                "http://one,http://two",
                "http://two/v1",
                "DRIFTQ_DRAIN_URL: entry 1: http://two is entry 2 of DRIFTQ_HTTP_URL too; remove it there",
            ),
        ] {
            let error = read(accepting, draining).unwrap_err();
            assert!(error.contains(problem), "{problem:?} is not in\n{error}");
        }
    }

    #[test]
    fn all_broken_entries_are_named_at_once_and_no_credentials() {
        let error = read("http://u:s3cret@one,,ftp://two", "u:s3cret@three").unwrap_err();
        for entry in ["DRIFTQ_HTTP_URL: entry 1", "entry 2: empty", "entry 3", "DRIFTQ_DRAIN_URL: entry 1"] {
            assert!(error.contains(entry), "{entry} is not in\n{error}");
        }
        assert!(!error.contains("s3cret"), "{error}");
    }
}
