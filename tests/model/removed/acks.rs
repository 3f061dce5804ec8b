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

/// The newer broker's limit and order of redeliveries, and none of its cumulative acks.
const SINGLE: Broker = Broker { cumulative: false, ..G3 };

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

/// The loss that was seen on a broker with 32 in flight: "I hold two, and two is the limit".
#[test]
fn limit_asked() {
    let messages = |broker| World::of_acks(broker, &[0, 1, 2], HALF_OPEN);
    needed(LimitAsked, Lost, messages(SINGLE));
    needed(LimitAsked, Contradicted, World { proofs_stand: true, ..messages(G3) });
    covered(LimitAsked, messages(G0));
}

#[test]
fn only_sure_counted() {
    needed(OnlySureCounted, Lost, World::of_acks(G0, &[0, 1, 0], Faults { lost_acks: 1, ..HALF_OPEN }));
    needed(OnlySureCounted, Lost, World::of_acks(G3, &[0, 1, 2], LATE));
}

/// A message is acked while the broker is asked, because the next one closes a gap or follows without any: the count is
/// lower by one than what was held, which makes up for one that is in other hands, or on its way.
#[test]
fn ack_voids_count() {
    let begun = |broker, faults| World { begun: true, ..World::of_acks(broker, &[0, 1, 2], faults) };
    needed(AckVoidsCount, Lost, begun(SINGLE, LATE));
    needed(AckVoidsCount, Lost, begun(G3, Faults { restarts: 0, ..LATE }));
}

#[test]
fn first_acks_held() {
    needed(FirstAcksHeld, Lost, World::of_acks(CLOCK, &[0, 1], CRASH));
}

/// A message that is dealt to us is ours for the broker, though it has not arrived: a cumulative ack takes it, and a crash
/// then loses it. Where the broker counts, that is seen.
#[test]
fn overtaken_awaited() {
    needed(OvertakenAwaited, Lost, World::of_acks(CLOCK, &[0, 1, 2], LATE));
    let crash = Faults { restarts: 0, ..LATE };
    needed(OvertakenAwaited, Lost, World::of_acks(CUMULATIVE, &[0, 1, 2], crash));
    covered(OvertakenAwaited, World::of_acks(G0, &[0, 1, 2], LATE));
    covered(OvertakenAwaited, World::of_acks(G3, &[0, 1, 2], LATE));
}

/// Once something was acked on a stream, the pause is not needed any more, however late messages arrive.
#[test]
fn gaps_awaited() {
    let late = World::of_acks(CUMULATIVE, &[0, 1, 2], Faults { restarts: 0, ..LATE });
    let late = World { slow_arrivals: true, ..late };
    needed(GapsAwaited, Lost, World { begun: true, endless: true, ..late });
}

/// A message below the high-water mark comes back for ever, and its place in flight is lost.
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
    needed(ProofEndsWithStream, Lost, World::of_acks(G0, &[0, 1], faults));
    needed(ProofEndsWithStream, Lost, World::of_acks(SINGLE, &[0, 1], faults));
}

/// What another stream has acked is still held here, and counted. A cumulative ack would be refused.
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
