//! Names of secrets.

use super::problems::Problems;

/// Checks a secret's name, which has the form of an environment variable. Anything else may be a secret itself, so it is not quoted.
pub(super) fn check(name: &str, field: &str, problems: &mut Problems) {
    let legal = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    if name.is_empty() || !name.bytes().all(legal) {
        problems.add(field, "not the name of a secret (A-Z, 0-9, _); the value itself never stands here");
    }
}
