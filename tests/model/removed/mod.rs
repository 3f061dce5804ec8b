//! Each rule removed: the violation that the search finds then. That the same world holds with the rule is checked beside it.
//!
//! Each rule has a check with its name in snake case.

mod acks;
mod agenda;
mod guard;
mod joins;

use super::{checker::check, properties::Broken, rule::Rule, say, world::World};

/// Without the rule, the expected property is violated; with it, none is.
fn needed(rule: Rule, expected: Broken, world: World) {
    let holds = check(&world);
    assert!(holds.counterexample.is_none(), "with {rule:?}: {:#?}", holds.counterexample);
    let (broken, way) = check(&World { without: Some(rule), ..world }).counterexample.expect("a violation");
    assert_eq!(broken, expected, "without {rule:?}: {way:#?}");
    say(&format!("without {rule:?}: {broken}, after {} steps", way.len()));
}

/// In this world nothing is violated without the rule: something else covers for it.
fn covered(rule: Rule, world: World) {
    let checked = check(&World { without: Some(rule), ..world });
    assert!(checked.counterexample.is_none(), "without {rule:?}: {:#?}", checked.counterexample);
}

/// With clocks that agree, there is less to search.
fn one_clock(world: World) -> World {
    World { skew: 0, ..world }
}
