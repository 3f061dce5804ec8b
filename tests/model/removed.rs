//! Each rule, taken away: what the model finds then. That the same world holds with the rule is checked beside it.

use super::{
    checker::check,
    properties::Broken::{self, Lost, Overwritten, Stuck, Twice},
    rule::Rule::{self, *},
    say,
    world::{
        Faults, NONE,
        Policy::{LookUp, Park, SameKey},
        World,
    },
};

fn needed(rule: Rule, expected: Broken, world: World) {
    let holds = check(&world);
    assert!(holds.counterexample.is_none(), "with {rule:?}: {:#?}", holds.counterexample);
    let (broken, way) = check(&World { without: Some(rule), ..world }).counterexample.expect("it is needed");
    assert_eq!(broken, expected, "without {rule:?}: {way:#?}");
    say(&format!("without {rule:?}: {broken}, in {} steps", way.len()));
}

/// The model does not notice that the rule is gone.
fn covered(rule: Rule, world: World) {
    let checked = check(&World { without: Some(rule), ..world });
    assert!(checked.counterexample.is_none(), "without {rule:?}: {:#?}", checked.counterexample);
}

fn uncounted(world: World) -> World {
    World { counted: false, ..world }
}

/// Without skew, which these don't take, there is less to look at.
fn one_clock(world: World) -> World {
    World { skew: 0, ..world }
}

#[test]
fn the_order_of_acks() {
    let crash = World::new(Park, &[0, 1], Faults { crashes: 1, restarts: 1, ..NONE });
    let unanswered = Faults { restarts: 1, unanswered: 1, ..NONE };
    let half_open = Faults { half_open: 1, restarts: 1, ..NONE };
    let overtaken = World::new(Park, &[1, 0, 1], Faults { overtakes: 1, restarts: 1, ..NONE });
    needed(AcksInOrder, Lost, World::new(Park, &[0, 1], unanswered));
    needed(InFlightCounted, Lost, World::new(Park, &[0, 1], half_open));
    needed(AcksEndWithStream, Lost, World::new(Park, &[0, 1], Faults { cuts: 1, ..unanswered }));
    needed(FirstAcksHeld, Lost, uncounted(crash));
    needed(OvertakenAwaited, Lost, uncounted(overtaken));
    // What is in flight and not ours is counted, whatever else there is.
    covered(FirstAcksHeld, crash);
    covered(OvertakenAwaited, overtaken);
    say("FirstAcksHeld and OvertakenAwaited are needed only where the broker's metrics can't be had");
}

#[test]
fn one_stream() {
    let world = one_clock(World::new(Park, &[0, 1], Faults { crashes: 1, restarts: 1, ..NONE }));
    needed(OneStream, Lost, world);
    let faults = Faults { renewals: 1, ..world.faults };
    needed(StreamGivenUp, Lost, uncounted(World { faults, ..world }));
}

#[test]
fn the_guard() {
    needed(ExpiredInDoubt, Twice, World::new(Park, &[0], Faults { crashes: 1, ..NONE }));
    needed(DoubtRemembered, Twice, World::new(LookUp, &[0], NONE));
    needed(DoubtRests, Twice, World { lands_late: true, ..World::new(LookUp, &[0], NONE) });
    needed(OutdatedRefused, Twice, World::new(LookUp, &[0, 0], NONE));
    let faults = Faults { delays: 1, renewals: 1, ..NONE };
    needed(WritesFenced, Overwritten, one_clock(World::new(Park, &[0, 0], faults)));
    let faults = Faults { unanswered: 1, ..faults };
    let world = World::new(LookUp, &[0], faults);
    needed(TakeOverFenced, Twice, one_clock(World { max_attempts: 3, room: 1, ..world }));
}

#[test]
fn the_agenda() {
    needed(HeldIsWatched, Lost, World::new(Park, &[0, 0], Faults { unanswered: 1, ..NONE }));
    let faults = Faults { delays: 1, renewals: 1, ..NONE };
    needed(WatchFenced, Stuck, one_clock(World::new(Park, &[0], faults)));
    let faults = Faults { crashes: 1, unanswered: 1, ..faults };
    needed(ClaimsStayDue, Lost, one_clock(World { max_attempts: 1, ..World::new(Park, &[0, 0], faults) }));
    let wiped = World::new(Park, &[], Faults { wipes: 1, ..NONE });
    needed(RelayedStaysDue, Lost, World { outbox: &[0], ..wiped });
}

#[test]
fn the_window() {
    let crash = Faults { crashes: 1, ..NONE };
    let world = World { memory: Some(3), ..World::new(SameKey, &[0, 0], crash) };
    needed(WindowKept, Twice, world);
    needed(WindowLeavesRoom, Twice, world);
}
