//! The parameters of one check: which rules hold, what the broker offers, what the step's policy is, and which faults may occur
//! how often.

use super::rule::Rule;

/// A lease on an effect, in ticks. A call ends in the tick of its claim, so all of the lease is margin (`settle`).
pub(super) const LEASE: i8 = 2;
/// How far clocks may differ: less than that margin.
pub(super) const SKEW: i8 = 1;
/// The stream lease as its last renewal left it. It is renewed in each tick.
pub(super) const STREAM: i8 = 2;

/// A broker, and what a consumer can learn from it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Broker {
    /// The most messages of a partition in flight for a group.
    pub(super) limit: usize,
    /// The limit that `GET /v1/config` tells. `None`: the call is missing or fails.
    pub(super) told: Option<usize>,
    /// A partition's offsets have no gaps.
    pub(super) contiguous: bool,
    /// `/metrics` counts the messages in flight.
    pub(super) metrics: bool,
    /// It has `POST /v1/ack-cumulative`.
    pub(super) cumulative: bool,
}

/// The older generation: two in flight, and offsets with gaps.
pub(super) const G0: Broker =
    Broker { limit: 2, told: None, contiguous: false, metrics: true, cumulative: false };
/// The newer generation. It has 32 in flight; four show the same, since that is more than two.
pub(super) const G3: Broker =
    Broker { limit: 4, told: Some(4), contiguous: true, metrics: true, cumulative: true };

/// The newer one without metrics or a limit: only a cumulative ack's answer proves anything.
pub(super) const CUMULATIVE: Broker = Broker { metrics: false, told: None, ..G3 };
/// A broker that answers none of these, as behind a strict proxy. Only order and clock are left.
pub(super) const CLOCK: Broker = Broker { cumulative: false, ..CUMULATIVE };

/// A step's `in_doubt` policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Policy {
    /// An operator decides.
    Park,
    /// The third party dedupes on the key.
    SameKey,
    /// The third party can be asked, and its answer is right.
    LookUp,
}

/// How often each fault may still occur.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Faults {
    /// A consumer is killed.
    pub(super) crashes: u8,
    /// A consumer is killed, and the broker still believes its stream to be open.
    pub(super) half_open: u8,
    /// The broker is killed and started again.
    pub(super) restarts: u8,
    /// The broker loses its disk.
    pub(super) wipes: u8,
    /// A stream breaks, and both sides live.
    pub(super) cuts: u8,
    /// A write to the effects table gets no answer, applied or not.
    pub(super) unanswered: u8,
    /// An ack gets no answer, carried out, carried out in part, or not.
    pub(super) lost_acks: u8,
    /// A consumer's renewals of the stream lease fail from then on.
    pub(super) renewals: u8,
    /// A step of an attempt is delayed beyond its lease.
    pub(super) delays: u8,
    /// A message arrives later than one that was sent after it.
    pub(super) late: u8,
    /// The metrics can't be read, and aren't asked for any more on that stream.
    pub(super) blinded: u8,
}

/// No faults, except that a third party may answer anything.
pub(super) const NONE: Faults = Faults {
    crashes: 0,
    half_open: 0,
    restarts: 0,
    wipes: 0,
    cuts: 0,
    unanswered: 0,
    lost_acks: 0,
    renewals: 0,
    delays: 0,
    late: 0,
    blinded: 0,
};

/// One check.
#[derive(Debug, Clone, Copy)]
pub(super) struct World {
    /// A rule that is removed.
    pub(super) without: Option<Rule>,
    pub(super) policy: Policy,
    pub(super) broker: Broker,
    pub(super) faults: Faults,
    /// `retry.max_attempts`.
    pub(super) max_attempts: u8,
    /// How far clocks are apart.
    pub(super) skew: i8,
    /// The effects of the messages on the topic at the start. An effect listed twice has two messages.
    pub(super) topic: &'static [u8],
    /// The limit that the broker told before its last restart.
    pub(super) told_before: Option<usize>,
    /// A consumer has a stream at the start and has acked on it; if a half-open stream is allowed, there is one beside it.
    pub(super) begun: bool,
    /// A dead consumer's message is below the high-water mark at the start: something else has acked past it.
    pub(super) passed: bool,
    /// Effects that ingest left pending and due.
    pub(super) outbox: &'static [u8],
    /// `journal = true`.
    pub(super) journal: bool,
    /// An invocation that can't have the stream works the agenda.
    pub(super) helpers: bool,
    /// A call may be slow, so that its message is handed over, and other messages of its effect don't wait for it.
    pub(super) slow_calls: bool,
    /// A destination may be closed, so that its messages are deferred before the claim.
    pub(super) closes: bool,
    /// An effect is claimed, applied and committed in one step: for what acks alone can lose.
    pub(super) instant: bool,
    /// Runs, and the broker's leases, never end: for what may not wait for that.
    pub(super) endless: bool,
    /// A delivery that contradicts a proof is an error, if that message can still be lost.
    pub(super) proofs_stand: bool,
    /// A message may be on its way for longer than a consumer waits for it.
    pub(super) slow_arrivals: bool,
    /// A call whose caller has given up may still be applied, within its lease.
    pub(super) lands_late: bool,
    /// Calls may be delayed, not only writes.
    pub(super) calls_are_delayed: bool,
    /// How long the third party remembers a key, which is also the step's `window`. `None`: for ever.
    pub(super) memory: Option<i8>,
}

impl World {
    /// The code as it is, on the older broker, with these messages on the topic.
    pub(super) fn new(policy: Policy, topic: &'static [u8], faults: Faults) -> Self {
        Self {
            without: None,
            policy,
            broker: G0,
            faults,
            max_attempts: 2,
            skew: SKEW,
            topic,
            told_before: None,
            begun: false,
            passed: false,
            outbox: &[],
            journal: false,
            helpers: false,
            slow_calls: false,
            closes: false,
            instant: false,
            endless: false,
            proofs_stand: false,
            slow_arrivals: false,
            lands_late: false,
            calls_are_delayed: false,
            memory: None,
        }
    }

    /// For what acks alone can lose, with one clock.
    pub(super) fn of_acks(broker: Broker, topic: &'static [u8], faults: Faults) -> Self {
        Self { broker, instant: true, skew: 0, ..Self::new(Policy::Park, topic, faults) }
    }

    pub(super) fn keeps(&self, rule: Rule) -> bool {
        self.without != Some(rule)
    }
}
