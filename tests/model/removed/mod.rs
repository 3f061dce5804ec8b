//! Each rule, removed: what the model finds then. That the same world holds with the rule is checked beside it.
//!
//! There is one check for each rule, and it has the rule's name.

mod acks;
mod agenda;
mod guard;

use super::{checker::check, properties::Broken, rule::Rule, say, world::World};

fn needed(rule: Rule, expected: Broken, world: World) {
    let holds = check(&world);
    assert!(holds.counterexample.is_none(), "with {rule:?}: {:#?}", holds.counterexample);
    let (broken, way) = check(&World { without: Some(rule), ..world }).counterexample.expect("it is needed");
    assert_eq!(broken, expected, "without {rule:?}: {way:#?}");
    say(&format!("without {rule:?}: {broken}, in {} steps {way:?}", way.len()));
}

/// The model does not notice that the rule is gone.
fn covered(rule: Rule, world: World) {
    let checked = check(&World { without: Some(rule), ..world });
    assert!(checked.counterexample.is_none(), "without {rule:?}: {:#?}", checked.counterexample);
}

/// Without skew, which these don't take, there is less to look at.
fn one_clock(world: World) -> World {
    World { skew: 0, ..world }
}
