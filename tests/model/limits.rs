//! What goes wrong outside the bounds: clocks further apart than a lease's margin, calls that are applied late, and brokers that
//! answer nothing. Within them everything holds: the checks of `whole` have clocks that differ by less than that margin.

use super::{
    checker::check,
    properties::Broken::{self, Lost, Twice},
    say,
    world::{
        CLOCK, CUMULATIVE, Faults, G0, LEASE, NONE,
        Policy::{self, LookUp, Park, SameKey},
        SKEW, World,
    },
};

/// More than a lease's margin: a lease that has just been taken can seem to be over.
const BEYOND: i8 = LEASE + 1;

fn broken(world: World) -> Option<Broken> {
    check(&world).counterexample.map(|(broken, _)| broken)
}

/// The result of a world under each policy.
fn by_policy(world: impl Fn(Policy) -> World) -> [Option<Broken>; 3] {
    [Park, SameKey, LookUp].map(|policy| broken(world(policy)))
}

#[test]
fn beyond_the_bound_a_look_up_may_be_asked_too_early() {
    let slow = |policy| World { slow_calls: true, helpers: true, ..World::new(policy, &[0], NONE) };
    let world = |policy| World { skew: BEYOND, ..slow(policy) };
    assert_eq!(by_policy(slow), [None, None, None]);
    assert_eq!(by_policy(world), [None, None, Some(Twice)]);
    say("clocks beyond the bound: applied twice under LookUp; Park and SameKey hold");
}

#[test]
fn beyond_the_bound_a_key_may_be_used_after_its_window() {
    let crash = Faults { crashes: 1, ..NONE };
    let at = |skew| broken(World { skew, memory: Some(3), ..World::new(SameKey, &[0], crash) });
    assert_eq!([at(0), at(SKEW), at(LEASE), at(BEYOND)], [None, None, None, Some(Twice)]);
    say("clocks beyond the bound, at the end of the window: applied twice under SameKey");
}

/// The third party applies a call after it has timed out, and before its lease is over.
#[test]
fn a_call_that_lands_late_is_waited_for() {
    let world = |policy| World { lands_late: true, ..World::new(policy, &[0], NONE) };
    assert_eq!(by_policy(world), [None, None, None]);
    say("a call applied after its timeout and within its lease: Park, SameKey and LookUp hold");
}

/// The process does not get the CPU to call before its lease is over. Nothing fences a call.
#[test]
fn a_look_up_may_be_asked_before_a_call_that_was_held_up() {
    let faults = Faults { delays: 1, renewals: 1, ..NONE };
    let world = |policy| World { skew: 0, calls_are_delayed: true, ..World::new(policy, &[0], faults) };
    assert_eq!(by_policy(world), [None, None, Some(Twice)]);
    say("a call delayed beyond its lease: applied twice under LookUp; Park and SameKey hold");
}

/// A broker that can be asked nothing sends messages to a dead consumer's open connection.
#[test]
fn a_half_open_stream_needs_a_broker_that_answers() {
    let faults = Faults { half_open: 1, restarts: 1, ..NONE };
    assert_eq!(broken(World::of_acks(CLOCK, &[0, 1], faults)), Some(Lost));
    assert_eq!(broken(World::of_acks(CUMULATIVE, &[0, 1], faults)), None);
    let metrics_fail = Faults { blinded: 1, ..faults };
    assert_eq!(broken(World::of_acks(G0, &[0, 1, 2], metrics_fail)), Some(Lost));
    say("a half-open stream on a broker that answers nothing, or not any more: lost");
}

/// A cumulative ack also covers messages that the broker has sent to us and that have not arrived. Without counts, an ack
/// waits for them only for a limited time.
#[test]
fn a_first_ack_may_take_what_is_long_on_its_way() {
    let faults = Faults { crashes: 1, late: 1, ..NONE };
    let world = World { slow_arrivals: true, ..World::of_acks(CUMULATIVE, &[0, 1, 2], faults) };
    assert_eq!(broken(world), Some(Lost));
    say("without counts, a message on its way for longer than the pause: lost by a crash");
}
