//! Whether the embedded configuration has been checked at build time. Checking it takes a millisecond of each cold start, most of it for
//! compiling templates that the process may never need. So `cargo webhooks check` records in `webhooks.checked` a digest of the text that
//! it has checked. A file that was edited since is checked at start, and so is any file that `WEBHOOKS_CONFIG` names.

use super::EMBEDDED;

/// Digest of the text that was last checked.
const CHECKED: u64 = include!("../../webhooks.checked");

/// Whether the embedded text is the one that was checked.
pub(super) const IS_CHECKED: bool = digest(EMBEDDED) == CHECKED;

/// Which checks of a configuration remain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// All checks.
    All,
    /// Only the hosts of the stage. Templates are compiled when they are first used.
    Hosts,
}

/// The content of `webhooks.checked` for a text.
#[must_use]
pub fn note(text: &str) -> String {
    format!(
        "// Made by `cargo webhooks check`: a digest of webhooks.toml, which was right.\n{:#x}\n",
        digest(text)
    )
}

/// 64-bit FNV-1a. It detects edits, not attacks: the file and its digest come from the same repository.
const fn digest(text: &str) -> u64 {
    let (mut hash, mut at) = (0xcbf2_9ce4_8422_2325_u64, 0);
    while at < text.len() {
        hash = (hash ^ text.as_bytes()[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::{Config, PARSED, environment::load_config, hosts::Stage, section::Table};

    #[test]
    fn the_embedded_configuration_has_been_checked() {
        Config::parse("webhooks.toml", EMBEDDED).unwrap();
        let why = "webhooks.toml was edited; run `cargo webhooks check`, and commit webhooks.checked";
        assert_eq!(digest(EMBEDDED), CHECKED, "{why}");
    }

    #[test]
    fn the_build_has_parsed_the_embedded_configuration() {
        let parsed: Table = serde_json::from_str(PARSED).unwrap();
        assert_eq!(parsed, toml::from_str(EMBEDDED).unwrap());
    }

    #[test]
    fn what_the_build_could_not_parse_is_parsed_at_start() {
        let read = |text| Config::read_parsed("toml", text, "", Stage::None, Check::All);
        assert_eq!(read(EMBEDDED).unwrap().steps.len(), Config::parse("toml", EMBEDDED).unwrap().steps.len());
        assert_eq!(read("a = 1\n[").unwrap_err().problems[0].line, Some(2));
    }

    #[test]
    fn another_text_is_not_the_checked_one() {
        let edited = EMBEDDED.replacen("POST", "PUT", 1);
        assert_ne!(digest(&edited), CHECKED);
        assert!(note(EMBEDDED).ends_with(&format!("\n{CHECKED:#x}\n")));
    }

    #[test]
    fn a_file_of_its_own_is_checked_at_each_start() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, EMBEDDED.replacen("{{ event.data.object.id }}", "{{ event. }}", 1)).unwrap();
        let path = file.path().display().to_string();
        let get = |name: &str| (name == "WEBHOOKS_CONFIG").then(|| path.clone());
        let error = load_config(&get).expect_err("a template that is none");
        assert!(error.to_string().contains("business_key"), "{error}");
    }

    #[test]
    fn what_was_checked_reads_the_same_without_being_checked_again() {
        let providers = include_str!("../../tests/providers.toml");
        for text in [EMBEDDED, providers] {
            let read = |check| Config::parse_of("toml", text, Stage::None, check).unwrap();
            let (checked, read) = (read(Check::All), read(Check::Hosts));
            assert_eq!(format!("{:?}", checked.steps), format!("{:?}", read.steps));
            assert_eq!(format!("{:?}", checked.sources), format!("{:?}", read.sources));
            assert_eq!(checked.uses, read.uses);
            assert_eq!(checked.templates.may_use_digest(), read.templates.may_use_digest());
            for step in &checked.steps {
                let names = |config: &Config| config.templates.names(&step.business_key);
                assert_eq!(names(&checked), names(&read));
            }
        }
    }
}
