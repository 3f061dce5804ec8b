//! What differs from check to check: the rules that hold, what a step says about doubt, and what may go wrong how often.

use super::rule::Rule;

/// A lease on an effect, in ticks. A call ends in the tick of its claim, so that all of it is margin: `settle`.
pub(super) const LEASE: i8 = 2;
/// How far clocks may differ: less than the margin.
pub(super) const SKEW: i8 = 1;
/// The lease on the stream as its last renewal left it; it is renewed in every tick.
pub(super) const STREAM: i8 = 2;
/// Messages in flight for each partition and group (transcript 04).
pub(super) const IN_FLIGHT: usize = 2;

/// What a step says about doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Policy {
    /// A person decides.
    Park,
    /// The third party dedupes on the key.
    SameKey,
    /// The third party can be asked, and knows.
    LookUp,
}

/// How often each thing may still go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Faults {
    /// A consumer is killed.
    pub(super) crashes: u8,
    /// A consumer is killed and the broker never hears of it: its stream seems open.
    pub(super) half_open: u8,
    /// The broker is killed and started again.
    pub(super) restarts: u8,
    /// The broker loses its disk.
    pub(super) wipes: u8,
    /// The stream breaks, and both sides live.
    pub(super) cuts: u8,
    /// A write to the effects table, or an ack, gets no answer, applied or not.
    pub(super) unanswered: u8,
    /// A consumer's renewals of the stream lease fail from now on.
    pub(super) renewals: u8,
    /// A step of an attempt is held up for longer than its lease.
    pub(super) delays: u8,
    /// Two messages that are dealt together arrive in the other order.
    pub(super) overtakes: u8,
}

/// Nothing goes wrong but what a third party may answer.
pub(super) const NONE: Faults = Faults {
    crashes: 0,
    half_open: 0,
    restarts: 0,
    wipes: 0,
    cuts: 0,
    unanswered: 0,
    renewals: 0,
    delays: 0,
    overtakes: 0,
};

/// One check.
#[derive(Debug, Clone, Copy)]
pub(super) struct World {
    /// A rule that is taken away.
    pub(super) without: Option<Rule>,
    pub(super) policy: Policy,
    pub(super) faults: Faults,
    /// `retry.max_attempts`.
    pub(super) max_attempts: u8,
    /// How far clocks are apart.
    pub(super) skew: i8,
    /// The effects of the messages on the topic at the start. An effect named twice has been delivered twice.
    pub(super) topic: &'static [u8],
    /// Unacked messages that the partition holds; then it is full.
    pub(super) room: usize,
    /// Effects that ingest left `pending` and due.
    pub(super) outbox: &'static [u8],
    /// `journal = true`.
    pub(super) journal: bool,
    /// The broker's metrics can be had.
    pub(super) counted: bool,
    /// A call whose caller has given up may still land, within its lease.
    pub(super) lands_late: bool,
    /// Not only writes may be held up, but also the call, after its claim.
    pub(super) calls_are_delayed: bool,
    /// How long the third party remembers a key, which is also what `window` says. `None`: for ever.
    pub(super) memory: Option<i8>,
}

impl World {
    /// The code as it is, with these messages on the topic.
    pub(super) fn new(policy: Policy, topic: &'static [u8], faults: Faults) -> Self {
        Self {
            without: None,
            policy,
            faults,
            max_attempts: 2,
            skew: SKEW,
            topic,
            room: topic.len().max(2),
            outbox: &[],
            journal: false,
            counted: true,
            lands_late: false,
            calls_are_delayed: false,
            memory: None,
        }
    }

    pub(super) fn keeps(&self, rule: Rule) -> bool {
        self.without != Some(rule)
    }
}
