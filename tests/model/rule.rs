//! The rules of the protocol, by the files in `functions/` that have them.

/// A rule of the protocol, and where the code has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// `ack_order`: a message is acked only when every lower one received on the stream has been.
    AcksInOrder,
    /// `drain`: without counts, no acks before a dead predecessor's messages have come back.
    FirstAcksHeld,
    /// `drain`, `ack_order`: no ack before it is known that all in flight is ours.
    InFlightCounted,
    /// `drain`: without counts, no ack while one that was dealt earlier may still be on its way.
    OvertakenAwaited,
    /// `drain`, `broker::stream`: what was received on a broken stream is not acked on the next.
    AcksEndWithStream,
    /// `stream_lease`: who wants a stream needs the lease on it.
    OneStream,
    /// `consumer::keep`: a lease that can't be renewed is lost when it ends.
    StreamGivenUp,
    /// `guard::settle`: commit, defer and park apply only while the record bears this attempt.
    WritesFenced,
    /// `guard::claim`: an expired lease is in doubt, never fresh.
    ExpiredInDoubt,
    /// `guard::claim`: an expired lease is taken over only while the record bears the attempt that was seen.
    TakeOverFenced,
    /// `guard::claim`: a command that counts fewer attempts than the record is not claimed.
    OutdatedRefused,
    /// `guard::claim`: a claim in place leaves the effect on the agenda.
    ClaimsStayDue,
    /// `guard::settle`: a message whose effect another attempt has is acked only when the record is on the agenda.
    HeldIsWatched,
    /// `guard::settle`: put on the agenda only while the record bears the attempt that was seen.
    WatchFenced,
    /// `guard::settle`: a deferral remembers that nobody knows the outcome.
    DoubtRemembered,
    /// `relay`, `due`: what has been relayed stays on the agenda until it is claimed.
    RelayedStaysDue,
    /// `step`: in doubt, the same key is used only within the third party's memory of it.
    WindowKept,
    /// `step`: and so early that all of the attempt's lease falls into it.
    WindowLeavesRoom,
    /// `attempt`: after a call that got no answer, nobody asks before that call's lease is over.
    DoubtRests,
}
