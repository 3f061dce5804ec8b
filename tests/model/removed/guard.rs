//! The guard's writes, and how long the third party remembers a key.

use super::{needed, one_clock};
use crate::{
    properties::Broken::{Overwritten, Twice},
    rule::Rule::*,
    world::{
        Faults, NONE,
        Policy::{LookUp, Park, SameKey},
        World,
    },
};

const CRASH: Faults = Faults { crashes: 1, ..NONE };
const DELAY: Faults = Faults { delays: 1, renewals: 1, ..NONE };

#[test]
fn writes_fenced() {
    needed(WritesFenced, Overwritten, one_clock(World::new(Park, &[0, 0], DELAY)));
}

/// Expired leases of a message that comes back, of a call that was handed over, and of a record that was due.
#[test]
fn expired_in_doubt() {
    needed(ExpiredInDoubt, Twice, World::new(Park, &[0], CRASH));
    needed(ExpiredInDoubt, Twice, World { slow_calls: true, ..World::new(Park, &[0], CRASH) });
    needed(ExpiredInDoubt, Twice, World { outbox: &[0], ..World::new(Park, &[], CRASH) });
}

#[test]
fn take_over_fenced() {
    needed(
        TakeOverFenced,
        Overwritten,
        one_clock(World::new(LookUp, &[0], Faults { unanswered: 1, ..DELAY })),
    );
}

#[test]
fn outdated_refused() {
    needed(OutdatedRefused, Twice, World { lands_late: true, ..World::new(LookUp, &[0, 0], NONE) });
}

#[test]
fn doubt_remembered() {
    needed(DoubtRemembered, Twice, World::new(LookUp, &[0], NONE));
}

#[test]
fn doubt_rests() {
    needed(DoubtRests, Twice, World { lands_late: true, ..World::new(LookUp, &[0], NONE) });
}

#[test]
fn window_kept() {
    needed(WindowKept, Twice, World { memory: Some(3), ..World::new(SameKey, &[0], CRASH) });
}

#[test]
fn window_leaves_room() {
    needed(WindowLeavesRoom, Twice, World { memory: Some(3), ..World::new(SameKey, &[0], CRASH) });
}
