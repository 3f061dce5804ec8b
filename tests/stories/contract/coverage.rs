//! Checks that the table of facts is complete: its cases exist, and every case is in it.

use super::facts::{FACTS, Fact};

const MODULES: &[(&str, &str)] = &[
    ("acks", include_str!("acks.rs")),
    ("caps", include_str!("caps.rs")),
    ("consume", include_str!("consume.rs")),
    ("dead_letters", include_str!("dead_letters.rs")),
    ("deadlines", include_str!("deadlines.rs")),
    ("ends", include_str!("ends.rs")),
    ("groups", include_str!("groups.rs")),
    ("json", include_str!("json.rs")),
    ("keys", include_str!("keys.rs")),
    ("leases", include_str!("leases.rs")),
    ("metrics", include_str!("metrics.rs")),
    ("nacks", include_str!("nacks.rs")),
    ("newer", include_str!("newer.rs")),
    ("partitions", include_str!("partitions.rs")),
    ("produce", include_str!("produce.rs")),
    ("restart", include_str!("restart.rs")),
    ("routes", include_str!("routes.rs")),
    ("topics", include_str!("topics.rs")),
];

/// Every case that a module lists in `cases!`.
fn cases() -> Vec<String> {
    let mut cases = Vec::new();
    for (module, source) in MODULES {
        let (_, list) = source.split_once("cases! {").unwrap();
        let (list, _) = list.split_once("\n}").unwrap();
        for names in list.split('[').skip(1) {
            let (names, _) = names.split_once(']').unwrap();
            let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
            cases.extend(names.map(|name| format!("{module}::{name}")));
        }
    }
    cases
}

#[test]
fn every_module_is_looked_at() {
    let helpers = ["broker", "coverage", "facts", "stream", "wire"];
    let modules =
        include_str!("mod.rs").lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'));
    assert!(modules.filter(|name| !helpers.contains(name)).eq(MODULES.iter().map(|(name, _)| *name)));
}

#[test]
fn every_fact_has_its_cases_and_every_case_its_fact() {
    let cases = cases();
    for Fact(says, held_by) in FACTS {
        assert!(!held_by.is_empty(), "no case holds: {says}");
        for case in *held_by {
            assert!(cases.iter().any(|name| name == case), "no case {case}: {says}");
        }
    }
    for name in &cases {
        assert!(
            FACTS.iter().any(|Fact(_, held_by)| held_by.contains(&name.as_str())),
            "{name} holds no fact"
        );
    }
}
