//! The protocol as it is: nothing lost, nothing applied twice, nothing recorded that did not happen, nothing overwritten, no proof
//! that is wrong, and everything settles in the end.

use super::{
    checker::check,
    say,
    world::{Broker, CLOCK, CUMULATIVE, Faults, G0, G3, NONE, Policy, World},
};

fn holds(what: &str, worlds: &[World]) {
    let mut states = 0;
    for world in worlds {
        let checked = check(world);
        if let Some((broken, way)) = checked.counterexample {
            panic!("{broken}, {way:#?}, {world:?}");
        }
        states += checked.states;
    }
    say(&format!("{what}: holds in all of {states} states"));
}

/// The attempts at an effect: everything that can interact. Two messages of one effect are side by side in the partition.
fn of_effects(policy: Policy) {
    let world = |topic, faults| World::new(policy, topic, faults);
    let slow = |world| World { slow_calls: true, ..world };
    let helped = |world| World { helpers: true, ..world };
    let closing = |world| World { closes: true, ..world };
    let (crash, unanswered) = (Faults { crashes: 1, ..NONE }, Faults { unanswered: 1, ..NONE });
    let (both, delay) = (Faults { crashes: 1, ..unanswered }, Faults { delays: 1, ..NONE });
    let worlds = [
        world(&[0, 1], Faults { restarts: 1, ..crash }),
        world(&[0, 0], crash),
        world(&[0, 0], unanswered),
        world(&[0], Faults { renewals: 1, ..delay }),
        World { outbox: &[0], ..helped(world(&[0], crash)) },
        World { outbox: &[0], ..helped(world(&[], Faults { ..both })) },
        World { outbox: &[0], ..helped(world(&[], Faults { ..delay })) },
        World { max_attempts: 4, ..world(&[0], Faults { crashes: 2, ..NONE }) },
        slow(world(&[0], both)),
        slow(helped(world(&[0, 0], NONE))),
        slow(helped(world(&[0], delay))),
        closing(world(&[0, 0], crash)),
        closing(slow(helped(world(&[0], both)))),
        World { journal: true, outbox: &[0], ..world(&[0], Faults { wipes: 1, ..crash }) },
    ];
    holds(&format!("{policy:?}"), &worlds);
}

#[test]
fn a_third_party_that_can_only_be_called_once_is_called_once() {
    of_effects(Policy::Park);
}

#[test]
fn a_third_party_that_dedupes_sees_every_effect_once() {
    of_effects(Policy::SameKey);
}

#[test]
fn a_third_party_that_can_be_asked_applies_every_effect_once() {
    of_effects(Policy::LookUp);
}

/// The acks of messages that are settled at once: everything that can interact, for one kind of broker.
fn of_acks(broker: Broker) -> Vec<World> {
    let restart = Faults { restarts: 1, ..NONE };
    let world = |topic, faults| World { proofs_stand: true, ..World::of_acks(broker, topic, faults) };
    vec![
        world(&[0, 1, 2], Faults { crashes: 1, half_open: 1, ..restart }),
        world(&[0, 1, 2], Faults { crashes: 1, late: 1, ..restart }),
        world(&[0, 1, 2], Faults { half_open: 1, lost_acks: 1, ..restart }),
        world(&[0, 1, 2], Faults { cuts: 1, lost_acks: 1, unanswered: 1, ..restart }),
        world(&[0, 1], Faults { crashes: 1, renewals: 1, ..restart }),
        world(&[0, 1, 2, 3], Faults { half_open: 1, ..restart }),
        World { passed: true, ..world(&[0, 1, 2], Faults { crashes: 1, lost_acks: 1, ..NONE }) },
        World { endless: true, ..world(&[0, 1, 2], Faults { lost_acks: 1, ..NONE }) },
    ]
}

#[test]
fn acks_lose_nothing_on_the_older_broker() {
    holds("acks on G0", &of_acks(G0));
}

#[test]
fn acks_lose_nothing_on_the_newer_broker() {
    holds("acks on G3", &of_acks(G3));
}

/// The newer broker, without some of its proofs.
#[test]
fn acks_lose_nothing_where_less_can_be_asked() {
    holds("single acks on G3", &of_acks(Broker { cumulative: false, ..G3 }));
    holds("acks on G3 without metrics", &of_acks(Broker { metrics: false, ..G3 }));
    holds("acks on G3 without metrics and limit", &of_acks(CUMULATIVE));
}

/// The metrics fail in the middle of a stream, so that what follows goes by other proofs.
#[test]
fn acks_lose_nothing_when_the_metrics_fail() {
    let late = Faults { blinded: 1, crashes: 1, late: 1, restarts: 1, ..NONE };
    let half_open = Faults { half_open: 1, crashes: 0, ..late };
    for broker in [G0, Broker { told: None, ..G3 }] {
        let world = |faults| World { proofs_stand: true, ..World::of_acks(broker, &[0, 1, 2], faults) };
        holds("acks when the metrics fail", &[world(late)]);
        if broker.cumulative {
            holds("acks beside a half-open stream when the metrics fail", &[world(half_open)]);
        }
    }
}

/// By order and clock alone, nothing is lost as long as a dead consumer's connection is closed.
#[test]
fn acks_lose_nothing_by_the_clock() {
    let closed = |world: &World| world.faults.half_open == 0;
    let worlds: Vec<World> = of_acks(CLOCK).into_iter().filter(closed).collect();
    holds("acks by the clock", &worlds);
}
