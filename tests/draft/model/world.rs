//! What is varied from check to check: the rules that hold, the step's policy, and what goes wrong how often.

/// A lease on an effect, in ticks. A call lands in the tick of its claim, or never, so that all of it is margin.
pub(super) const LEASE: i8 = 2;
/// How much clocks may differ: less than the margin.
pub(super) const SKEW: i8 = 1;
/// The lease on the stream, less what may pass until it is renewed: margin, too.
pub(super) const STREAM: i8 = 2;
/// Unacked messages that the partition holds; then it is full.
pub(super) const ROOM: usize = 3;
/// Messages in flight for each partition and group.
pub(super) const IN_FLIGHT: usize = 2;

/// The rules of the protocol. All of them hold in the code, but for those of [`Rules::AS_BUILT`] that say otherwise.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// Per partition, a message is acked only when every lower one received on the stream has been.
    pub(super) acks_in_order: bool,
    /// A new stream holds its acks until a dead predecessor's messages have come back.
    pub(super) first_acks_held: bool,
    /// Commit, defer and park apply only while the record bears this attempt.
    pub(super) writes_fenced: bool,
    /// An expired lease is in doubt, never fresh.
    pub(super) expired_is_in_doubt: bool,
    /// Who wants a stream needs the lease on it.
    pub(super) one_stream: bool,
    /// What was received on a broken stream is not acked on the next.
    pub(super) acks_end_with_stream: bool,
    /// A message whose effect another attempt has is acked only when the record is on the agenda.
    pub(super) held_is_watched: bool,
    /// Same key: only within the window.
    pub(super) window_kept: bool,
    /// `journal = true`: an effect stays on the agenda until it is done or parked.
    pub(super) journal: bool,
    /// Whoever can't renew the stream lease closes the stream before that lease can be taken from it.
    pub(super) stream_given_up_in_time: bool,
    /// A claim of a record that is there already leaves it on the agenda, due when the lease ends.
    pub(super) claims_stay_due: bool,
    /// After a call with an unknown outcome nobody asks or calls again before that call's lease is over.
    pub(super) doubt_rests: bool,
}

impl Rules {
    /// The code as it is.
    pub(super) const AS_BUILT: Self = Self {
        acks_in_order: true,
        first_acks_held: true,
        writes_fenced: true,
        expired_is_in_doubt: true,
        one_stream: true,
        acks_end_with_stream: true,
        held_is_watched: true,
        window_kept: true,
        journal: false,
        stream_given_up_in_time: false,
        claims_stay_due: false,
        doubt_rests: false,
    };
}

/// What the step says about doubt.
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Faults {
    /// The consumer is killed.
    pub(super) crashes: u8,
    /// The broker is killed and started again.
    pub(super) restarts: u8,
    /// The stream breaks, and both sides live.
    pub(super) cuts: u8,
    /// A write to the effects table gets no answer, applied or not.
    pub(super) unanswered: u8,
    /// A consumer's renewals of the stream lease fail from now on.
    pub(super) renewals_fail: u8,
    /// A consumer is killed and the broker never hears of it: its stream seems open.
    pub(super) half_open: u8,
    /// The broker loses its disk.
    pub(super) wipes: u8,
}

/// One check.
#[derive(Debug, Clone, Copy)]
pub(super) struct World {
    pub(super) rules: Rules,
    pub(super) policy: Policy,
    pub(super) faults: Faults,
    /// `retry.max_attempts`.
    pub(super) max_attempts: u8,
    /// How far clocks are apart.
    pub(super) skew: i8,
    /// The effects of the messages on the topic at the start. An effect named twice has been delivered twice.
    pub(super) topic: &'static [u8],
    /// A call whose caller has given up may still land.
    pub(super) lands_late: bool,
    /// Same key: the configured window, and how long the third party remembers a key. `None`: for ever.
    pub(super) window: Option<(i8, i8)>,
}

impl World {
    /// Two effects, one of them delivered twice, under the rules as built, and nothing goes wrong.
    pub(super) fn new(policy: Policy) -> Self {
        Self {
            rules: Rules::AS_BUILT,
            policy,
            faults: Faults::default(),
            max_attempts: 3,
            skew: SKEW,
            topic: &[0, 1, 0],
            lands_late: false,
            window: None,
        }
    }
}
