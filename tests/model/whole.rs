//! The protocol as it is: nothing lost, nothing twice, no lie, nothing overwritten, and everything settles in the end.

use super::{
    checker::check,
    say,
    world::{Faults, NONE, Policy, World},
};

/// What goes wrong together. Two messages of one effect meet around another effect, or beside each other.
fn worlds(policy: Policy) -> Vec<World> {
    let world = |topic, faults| World::new(policy, topic, faults);
    let uncounted = |world| World { counted: false, ..world };
    let journal = |world| World { journal: true, outbox: &[0, 1], ..world };
    vec![
        world(&[0, 1, 0], Faults { crashes: 1, restarts: 1, ..NONE }),
        world(&[0, 1, 0], Faults { half_open: 1, restarts: 1, ..NONE }),
        world(&[0, 1], Faults { crashes: 1, half_open: 1, restarts: 1, ..NONE }),
        world(&[0, 1], Faults { cuts: 1, restarts: 1, unanswered: 1, ..NONE }),
        world(&[0, 1, 0], Faults { overtakes: 1, restarts: 1, ..NONE }),
        world(&[0, 0], Faults { crashes: 1, unanswered: 1, ..NONE }),
        world(&[0, 0], Faults { crashes: 1, renewals: 1, ..NONE }),
        World { room: 1, ..world(&[0], Faults { delays: 1, renewals: 1, ..NONE }) },
        uncounted(world(&[0, 1], Faults { crashes: 1, cuts: 1, restarts: 1, ..NONE })),
        World { outbox: &[1], ..world(&[0, 0], Faults { crashes: 1, ..NONE }) },
        journal(world(&[0, 1], Faults { crashes: 1, wipes: 1, ..NONE })),
    ]
}

fn holds(policy: Policy) {
    let mut states = 0;
    for world in worlds(policy) {
        let checked = check(&world);
        if let Some((broken, way)) = checked.counterexample {
            panic!("{broken}, {way:#?}, {world:?}");
        }
        states += checked.states;
    }
    say(&format!("{policy:?}: holds in all of {states} states"));
}

#[test]
fn a_third_party_that_can_only_be_called_once_is_called_once() {
    holds(Policy::Park);
}

#[test]
fn a_third_party_that_dedupes_sees_every_effect_once() {
    holds(Policy::SameKey);
}

#[test]
fn a_third_party_that_can_be_asked_applies_every_effect_once() {
    holds(Policy::LookUp);
}
