//! Which records are on the agenda, and which messages may be acked because of it.

use super::{needed, one_clock};
use crate::{
    properties::Broken::{Lost, Stuck, TooEarly},
    rule::Rule::*,
    world::{Faults, NONE, Policy::Park, World},
};

const CRASH: Faults = Faults { crashes: 1, ..NONE };

/// Claims of a record that ingest left pending, and of one that waits for another attempt.
#[test]
fn claims_stay_due() {
    needed(ClaimsStayDue, Lost, World { outbox: &[0], ..World::new(Park, &[], CRASH) });
    needed(ClaimsStayDue, Lost, World::new(Park, &[0], CRASH));
}

#[test]
fn held_is_watched() {
    needed(HeldIsWatched, Lost, World::new(Park, &[0, 0], Faults { unanswered: 1, ..NONE }));
}

#[test]
fn watch_fenced() {
    needed(WatchFenced, Stuck, one_clock(World::new(Park, &[0], Faults { delays: 1, renewals: 1, ..NONE })));
}

#[test]
fn hand_over_is_durable() {
    needed(HandOverIsDurable, Lost, World { slow_calls: true, ..World::new(Park, &[0], CRASH) });
}

/// Nothing is lost without it, but the record would be read again and again for as long as the call takes.
#[test]
fn hand_over_due_at_lease_end() {
    let slow = World { slow_calls: true, helpers: true, ..World::new(Park, &[0], CRASH) };
    needed(HandOverDueAtLeaseEnd, TooEarly, slow);
}

/// The record in progress may be a dead consumer's.
#[test]
fn present_is_watched() {
    needed(PresentIsWatched, Lost, World { closes: true, ..World::new(Park, &[0], CRASH) });
}
