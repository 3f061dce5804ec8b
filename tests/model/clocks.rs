//! How far the clocks of successive invocations may be apart, and what gives way beyond; and what a call that is late does.
//! Within the bound everything holds: the checks of `whole` are done with clocks that differ by less than a lease's margin.

use super::{
    checker::check,
    properties::Broken::{self, Twice},
    say,
    world::{
        Faults, LEASE, NONE,
        Policy::{self, LookUp, Park, SameKey},
        SKEW, World,
    },
};

/// More than the margin of a lease: one that has just been taken can seem over.
const BEYOND: i8 = LEASE + 1;

fn broken(world: World) -> Option<Broken> {
    check(&world).counterexample.map(|(broken, _)| broken)
}

/// What becomes of a world under each policy.
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

/// The third party is still at a call that has timed out, and done with it before its lease is over.
#[test]
fn a_call_that_lands_late_is_waited_for() {
    let world = |policy| World { lands_late: true, ..World::new(policy, &[0], NONE) };
    assert_eq!(by_policy(world), [None, None, None]);
    say("a call that lands after its timeout and within its lease: Park, SameKey and LookUp hold");
}

/// The process is not given the time to call before its lease is over. Nothing fences a call.
#[test]
fn a_look_up_may_be_asked_before_a_call_that_was_held_up() {
    let faults = Faults { delays: 1, renewals: 1, ..NONE };
    let world = |policy| World { skew: 0, calls_are_delayed: true, ..World::new(policy, &[0], faults) };
    assert_eq!(by_policy(world), [None, None, Some(Twice)]);
    say("a call held up beyond its lease: applied twice under LookUp; Park and SameKey hold");
}
