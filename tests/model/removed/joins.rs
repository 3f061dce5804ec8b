//! What begins when several effects are done.

use crate::{
    joins::{Wrong, check},
    rule::Rule::{self, *},
    say,
};

/// Without the rule this goes wrong; with all of them, nothing does.
fn needed(rule: Rule, expected: Wrong) {
    assert_eq!(check(None).1, None);
    let (states, wrong) = check(Some(rule));
    assert_eq!(wrong, Some(expected), "without {rule:?}");
    say(&format!("without {rule:?}: {expected:?}, among {states} states"));
}

/// A process that dies between the two writes leaves an effect that is done and begins nothing.
#[test]
fn begun_with_commit() {
    needed(BegunWithCommit, Wrong::Never);
}

/// Two processes find no record. The second one's put removes the arrival that the first one has written.
#[test]
fn begun_if_absent() {
    needed(BegunIfAbsent, Wrong::Never);
}

#[test]
fn arrivals_compared() {
    needed(ArrivalsCompared, Wrong::Never);
}

/// The consumer that had claimed it dies.
#[test]
fn begun_is_due() {
    needed(BegunIsDue, Wrong::Never);
}
