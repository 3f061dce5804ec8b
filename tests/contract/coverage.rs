//! That the table of facts is whole: it forgets no recording, its tests are there and cite the recordings it says, and no
//! test is left out of it.

use std::{collections::BTreeSet, ops::RangeInclusive};

use super::facts::{FACTS, Fact};

/// The recordings: 01 to 23.
const TRANSCRIPTS: RangeInclusive<u32> = 1..=23;

const MODULES: &[(&str, &str)] = &[
    ("acks", include_str!("acks.rs")),
    ("caps", include_str!("caps.rs")),
    ("consume", include_str!("consume.rs")),
    ("dead_letters", include_str!("dead_letters.rs")),
    ("deadlines", include_str!("deadlines.rs")),
    ("ends", include_str!("ends.rs")),
    ("groups", include_str!("groups.rs")),
    ("keys", include_str!("keys.rs")),
    ("leases", include_str!("leases.rs")),
    ("metrics", include_str!("metrics.rs")),
    ("nacks", include_str!("nacks.rs")),
    ("partitions", include_str!("partitions.rs")),
    ("produce", include_str!("produce.rs")),
    ("restart", include_str!("restart.rs")),
    ("routes", include_str!("routes.rs")),
    ("topics", include_str!("topics.rs")),
];

/// Every test of these modules: its name, and the recordings that its doc comment cites.
fn tests() -> Vec<(String, Vec<u32>)> {
    let mut tests = Vec::new();
    for (module, source) in MODULES {
        for part in source.split("#[tokio::test]\nasync fn ").collect::<Vec<_>>().windows(2) {
            let doc: Vec<&str> = part[0].lines().rev().take_while(|line| line.starts_with("///")).collect();
            let cited = TRANSCRIPTS.filter(|number| doc.iter().any(|line| line.contains(&cites(*number))));
            let (name, _) = part[1].split_once('(').unwrap();
            tests.push((format!("{module}::{name}"), cited.collect()));
        }
    }
    tests
}

#[test]
fn every_module_is_looked_at() {
    let helpers = ["broker", "coverage", "facts", "stream", "wire"];
    let modules =
        include_str!("mod.rs").lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'));
    assert!(modules.filter(|name| !helpers.contains(name)).eq(MODULES.iter().map(|(name, _)| *name)));
}

fn cites(number: u32) -> String {
    format!("Transcript {number:02}")
}

#[test]
fn no_recording_is_forgotten() {
    let covered: BTreeSet<u32> = FACTS.iter().flat_map(|Fact(recordings, ..)| *recordings).copied().collect();
    assert!(covered.iter().copied().eq(TRANSCRIPTS), "only {covered:?}");
}

#[test]
fn every_fact_has_its_tests_and_every_test_its_fact() {
    let tests = tests();
    for Fact(recordings, says, held_by) in FACTS {
        assert!(!held_by.is_empty(), "no test holds: {says}");
        for test in *held_by {
            let (_, cited) =
                tests.iter().find(|(name, _)| name == test).unwrap_or_else(|| panic!("no test {test}"));
            assert!(recordings.iter().all(|number| cited.contains(number)), "{test} cites {cited:?}: {says}");
        }
    }
    for (name, _) in &tests {
        assert!(
            FACTS.iter().any(|Fact(.., held_by)| held_by.contains(&name.as_str())),
            "{name} holds no fact"
        );
    }
}
