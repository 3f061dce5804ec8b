//! What differs from check to check: the rules that hold, the broker, what a step says about doubt, and what may go wrong
//! how often.

use super::rule::Rule;

/// A lease on an effect, in ticks. A call ends in the tick of its claim, so that all of it is margin: `settle`.
pub(super) const LEASE: i8 = 2;
/// How far clocks may differ: less than the margin.
pub(super) const SKEW: i8 = 1;
/// The lease on the stream as its last renewal left it; it is renewed in every tick.
pub(super) const STREAM: i8 = 2;

/// A broker, and what a consumer can ask of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Broker {
    /// Messages in flight for each partition and group.
    pub(super) limit: usize,
    /// A partition's offsets run without gaps.
    pub(super) contiguous: bool,
    /// `/metrics` count the messages in flight.
    pub(super) metrics: bool,
    /// `GET /v1/config` tells the limit.
    pub(super) config: bool,
    /// It has `POST /v1/ack-cumulative`.
    pub(super) cumulative: bool,
}

/// The older generation: two in flight, and offsets with gaps.
pub(super) const G0: Broker =
    Broker { limit: 2, contiguous: false, metrics: true, config: false, cumulative: false };
/// The newer one. It has 32 in flight; four show the same, since they are more than two.
pub(super) const G3: Broker =
    Broker { limit: 4, contiguous: true, metrics: true, config: true, cumulative: true };

/// The newer one behind a proxy that lets through acks and no more: a cumulative ack's answer is all there is.
pub(super) const CUMULATIVE: Broker = Broker { metrics: false, config: false, ..G3 };
/// A broker that tells nothing, and may be either: order and clock are all there is.
pub(super) const CLOCK: Broker = Broker { cumulative: false, ..CUMULATIVE };

/// What a step says about doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Policy {
    /// An operator decides.
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
    /// A consumer is killed and the broker does not notice: its stream seems open.
    pub(super) half_open: u8,
    /// The broker is killed and started again.
    pub(super) restarts: u8,
    /// The broker loses its disk.
    pub(super) wipes: u8,
    /// The stream breaks, and both sides live.
    pub(super) cuts: u8,
    /// A write to the effects table gets no answer, applied or not.
    pub(super) unanswered: u8,
    /// An ack gets no answer, carried out or not.
    pub(super) lost_acks: u8,
    /// A consumer's renewals of the stream lease fail from now on.
    pub(super) renewals: u8,
    /// A step of an attempt is held up for longer than its lease.
    pub(super) delays: u8,
    /// A message that the broker has sent arrives later than the next one.
    pub(super) late: u8,
}

/// Nothing goes wrong but what a third party may answer.
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
    /// The effects of the messages on the topic at the start. An effect named twice has been delivered twice.
    pub(super) topic: &'static [u8],
    /// A consumer has a stream at the start, and has acked on it, beside a half-open one if there may be such.
    pub(super) begun: bool,
    /// A dead consumer's message is below the high-water mark at the start: another kind of client has acked past it.
    pub(super) passed: bool,
    /// Effects that ingest left `pending` and due.
    pub(super) outbox: &'static [u8],
    /// `journal = true`.
    pub(super) journal: bool,
    /// An invocation that can't have the stream works the agenda.
    pub(super) helpers: bool,
    /// A call may be slow, so that its message is handed over to the agenda.
    pub(super) slow_calls: bool,
    /// A destination may be closed, so that its messages are deferred before the claim.
    pub(super) closes: bool,
    /// Every effect is claimed, applied and committed in one step: for what acks alone can lose.
    pub(super) instant: bool,
    /// A run, and the broker's lease on a message, are longer than anything may wait for.
    pub(super) endless: bool,
    /// A message that may yet be lost and contradicts a proof counts as an error.
    pub(super) proofs_stand: bool,
    /// What is on its way may arrive later than a consumer waits for it.
    pub(super) slow_arrivals: bool,
    /// A call whose caller has given up may still land, within its lease.
    pub(super) lands_late: bool,
    /// Not only writes may be held up, but also the call, after its claim.
    pub(super) calls_are_delayed: bool,
    /// How long the third party remembers a key, which is also what `window` says. `None`: for ever.
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
            begun: false,
            slow_arrivals: false,
            passed: false,
            outbox: &[],
            journal: false,
            helpers: false,
            slow_calls: false,
            closes: false,
            instant: false,
            endless: false,
            proofs_stand: false,
            lands_late: false,
            calls_are_delayed: false,
            memory: None,
        }
    }

    /// What acks alone can lose, by one clock.
    pub(super) fn of_acks(broker: Broker, topic: &'static [u8], faults: Faults) -> Self {
        Self { broker, instant: true, skew: 0, ..Self::new(Policy::Park, topic, faults) }
    }

    pub(super) fn keeps(&self, rule: Rule) -> bool {
        self.without != Some(rule)
    }
}
