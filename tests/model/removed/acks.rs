//! Which acks may be sent, and on which stream.

use super::{covered, needed};
use crate::{
    properties::Broken::{Contradicted, Lost, Stuck},
    rule::Rule::*,
    world::{Broker, CLOCK, CUMULATIVE, Faults, G0, G3, NONE, World},
};

const RESTART: Faults = Faults { restarts: 1, ..NONE };
const HALF_OPEN: Faults = Faults { half_open: 1, ..RESTART };
const CRASH: Faults = Faults { crashes: 1, ..RESTART };
const LATE: Faults = Faults { late: 1, ..CRASH };

/// The newer broker without cumulative acks.
const SINGLE: Broker = Broker { cumulative: false, ..G3 };
/// A broker that says that it has no limit. Here it has that of `SINGLE`, which is high enough to make no difference.
const UNLIMITED: Broker = Broker { told: Some(0), ..SINGLE };

#[test]
fn acks_in_order() {
    let faults = Faults { unanswered: 1, ..RESTART };
    needed(AcksInOrder, Lost, World::of_acks(G0, &[0, 1], faults));
    needed(AcksInOrder, Lost, World::of_acks(SINGLE, &[0, 1], faults));
}

#[test]
fn acks_on_proof() {
    needed(AcksOnProof, Lost, World::of_acks(G0, &[0, 1], HALF_OPEN));
    needed(AcksOnProof, Lost, World::of_acks(SINGLE, &[0, 1], HALF_OPEN));
}

/// How 19 of 21 messages were lost on a broker with 32 in flight: "I hold two, and two is the limit".
#[test]
fn limit_asked() {
    let messages = |broker| World::of_acks(broker, &[0, 1, 2], HALF_OPEN);
    needed(LimitAsked, Lost, messages(SINGLE));
    needed(LimitAsked, Contradicted, World { proofs_stand: true, ..messages(G3) });
    covered(LimitAsked, messages(G0));
}

/// A broker that tells its limit also checks cumulative acks, so only what is on its way can be lost.
#[test]
fn limit_asked_again() {
    let faults = Faults { restarts: 0, ..LATE };
    let world = World { told_before: Some(2), ..World::of_acks(G3, &[0, 1, 2], faults) };
    needed(LimitAskedAgain, Lost, world);
}

#[test]
fn zero_is_no_limit() {
    needed(ZeroIsNoLimit, Lost, World::of_acks(UNLIMITED, &[0, 1], HALF_OPEN));
}

/// A cumulative ack is carried out in part and gets no answer; sent again, it is refused.
#[test]
fn only_sure_counted() {
    let faults = Faults { half_open: 1, lost_acks: 1, ..NONE };
    let world = World { begun: true, ..World::of_acks(G3, &[0, 0, 1, 0], faults) };
    needed(OnlySureCounted, Lost, world);
}

/// While the broker is asked for a count, a message arrives that closes a gap, and is acked together with the one after it.
/// So the count is lower, which hides a message that is in flight elsewhere, or on its way.
#[test]
fn ack_voids_count() {
    let begun = |broker, faults| World { begun: true, ..World::of_acks(broker, &[0, 0, 1, 0], faults) };
    needed(AckVoidsCount, Lost, begun(SINGLE, Faults { late: 1, ..HALF_OPEN }));
    needed(AckVoidsCount, Lost, begun(G3, Faults { late: 1, half_open: 1, ..NONE }));
}

#[test]
fn first_acks_held() {
    needed(FirstAcksHeld, Lost, World::of_acks(CLOCK, &[0, 1], CRASH));
}

/// A message on its way is ours, for the broker: a cumulative ack covers it, and a crash then loses it. Where the broker counts,
/// the count shows it.
#[test]
fn overtaken_awaited() {
    needed(OvertakenAwaited, Lost, World::of_acks(CLOCK, &[0, 1, 2], LATE));
    let crash = Faults { restarts: 0, ..LATE };
    needed(OvertakenAwaited, Lost, World::of_acks(CUMULATIVE, &[0, 1, 2], crash));
    covered(OvertakenAwaited, World::of_acks(G0, &[0, 1, 2], LATE));
    covered(OvertakenAwaited, World::of_acks(G3, &[0, 1, 2], LATE));
}

/// Once something was acked on a stream, messages may be on their way for longer than the pause.
#[test]
fn gaps_awaited() {
    let late = World::of_acks(CUMULATIVE, &[0, 1, 2], Faults { restarts: 0, ..LATE });
    let late = World { slow_arrivals: true, ..late };
    needed(GapsAwaited, Lost, World { begun: true, endless: true, ..late });
}

/// A dead predecessor's message is redelivered and not read any more.
#[test]
fn blind_acks_end_with_reading() {
    needed(BlindAcksEndWithReading, Lost, World::of_acks(CLOCK, &[0, 1], CRASH));
    needed(BlindAcksEndWithReading, Lost, World::of_acks(CUMULATIVE, &[0, 1], Faults { crashes: 1, ..NONE }));
    covered(BlindAcksEndWithReading, World::of_acks(G3, &[0, 1], CRASH));
}

/// Otherwise a message below the high-water mark comes back for ever, and takes a place in flight.
#[test]
fn redelivered_acked_alone() {
    for broker in [G3, CUMULATIVE] {
        let faults = Faults { crashes: 1, lost_acks: 1, ..NONE };
        needed(
            RedeliveredAckedAlone,
            Stuck,
            World { passed: true, ..World::of_acks(broker, &[0, 1], faults) },
        );
    }
}

#[test]
fn lost_ack_sent_again() {
    for broker in [G0, G3] {
        let lost = World::of_acks(broker, &[0, 1], Faults { lost_acks: 1, ..NONE });
        needed(LostAckSentAgain, Stuck, World { endless: true, ..lost });
    }
}

#[test]
fn acks_end_with_stream() {
    let faults = Faults { cuts: 1, unanswered: 1, ..RESTART };
    needed(AcksEndWithStream, Lost, World::of_acks(G0, &[0, 1], faults));
    needed(AcksEndWithStream, Lost, World::of_acks(G3, &[0, 1], faults));
}

#[test]
fn proof_ends_with_stream() {
    let faults = Faults { cuts: 1, unanswered: 1, ..RESTART };
    needed(ProofEndsWithStream, Lost, World::of_acks(SINGLE, &[0, 1, 2], faults));
}

/// What another stream has acked is still held here, and counted. A cumulative ack is refused then.
#[test]
fn one_stream() {
    needed(OneStream, Lost, World::of_acks(G0, &[0, 1, 2], CRASH));
    covered(OneStream, World::of_acks(G3, &[0, 1], CRASH));
}

#[test]
fn stream_given_up() {
    let faults = Faults { renewals: 1, ..CRASH };
    needed(StreamGivenUp, Lost, World::of_acks(G0, &[0, 1, 2], faults));
    needed(StreamGivenUp, Lost, World::of_acks(CLOCK, &[0, 1, 2], faults));
}
