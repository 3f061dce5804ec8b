//! The rules of the protocol, with the files in `functions/` that implement them. `docs/rules.md` lists the tests of each.

/// Declares the rules, and a list of all of them.
macro_rules! rules {
    ($($(#[$doc:meta])+ $rule:ident,)+) => {
        /// A rule of the protocol.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Rule {
            $($(#[$doc])+ $rule,)+
        }

        impl Rule {
            /// Every rule.
            pub(super) const ALL: &[Self] = &[$(Self::$rule,)+];
        }
    };
}

rules! {
    /// `consumer/ack_order.rs`: a message is acked only when every lower one received on the stream is settled.
    AcksInOrder,
    /// `consumer/proof.rs`: no ack before it is proven that no lower message is in flight elsewhere.
    AcksOnProof,
    /// `consumer/proof.rs`: the limit of messages in flight is the one that the broker tells, never a constant.
    LimitAsked,
    /// `broker/client.rs`: the limit is asked for on each stream, since a broker can be restarted with another.
    LimitAskedAgain,
    /// `broker/limits.rs`: a limit of 0 means that there is none, so it is not known.
    ZeroIsNoLimit,
    /// `consumer/ack_order.rs`: a message whose ack may have been carried out is not counted as held.
    OnlySureCounted,
    /// `consumer/ack_order.rs`: a count is ignored if an ack of its partition was sent after the question.
    AckVoidsCount,
    /// `consumer/proof.rs`: where nothing can be proven, the first acks wait until a dead predecessor's messages are back.
    FirstAcksHeld,
    /// `consumer/drain.rs`: without counts, an ack waits for lower messages that may still be on their way.
    OvertakenAwaited,
    /// `consumer/ack_order.rs`: without counts, a cumulative ack proves something only while nothing of the partition has been
    /// acked on the stream; after that, a gap is waited for.
    GapsAwaited,
    /// `consumer/drain.rs`: without counts, nothing is acked once nothing is read any more: a lower message may be on its way.
    BlindAcksEndWithReading,
    /// `consumer/acks.rs`: a redelivered message gets a single ack as well, after the cumulative one that covers it: a
    /// cumulative ack does not ack messages below the high-water mark.
    RedeliveredAckedAlone,
    /// `consumer/acks.rs`: an ack that got no answer is sent again on the same stream.
    LostAckSentAgain,
    /// `broker/stream.rs`: what was received on a broken stream is not acked on the next.
    AcksEndWithStream,
    /// `consumer/drain.rs`: a proof holds only on the stream on which it was obtained.
    ProofEndsWithStream,
    /// `effects/stream_lease.rs`: a stream is opened only under the stream lease.
    OneStream,
    /// `consumer/reader.rs`: a stream lease that could not be renewed in time is lost, and with it the stream.
    StreamGivenUp,
    /// `effects/guard/settle.rs`: commit, defer and park apply only while the record bears this attempt.
    WritesFenced,
    /// `effects/guard/claim.rs`: an effect whose lease has expired is in doubt, never fresh.
    ExpiredInDoubt,
    /// `effects/guard/claim.rs`: an expired lease is taken over only while the record bears the attempt that was seen.
    TakeOverFenced,
    /// `effects/guard/claim.rs`: a command that counts fewer attempts than the record does not claim it.
    OutdatedRefused,
    /// `effects/guard/claim.rs`: a claim of a record that is on the agenda leaves it there, due when the new lease ends.
    ClaimsStayDue,
    /// `effects/guard/settle.rs`: a message whose effect another attempt holds is acked only once the record is on the agenda.
    HeldIsWatched,
    /// `effects/guard/settle.rs`: the write that puts the record on the agenda for that applies only while the record bears
    /// the attempt that was seen.
    WatchFenced,
    /// `effects/guard/settle.rs`: the message of a slow call is acked only once the record is on the agenda.
    HandOverIsDurable,
    /// `effects/guard/settle.rs`: a record that is handed over comes due when its lease ends, no sooner.
    HandOverDueAtLeaseEnd,
    /// `effects/agenda.rs`: a deferral before the claim that finds the effect in progress puts its record on the agenda.
    PresentIsWatched,
    /// `effects/guard/settle.rs`: a deferral records that the outcome of its call is unknown.
    DoubtRemembered,
    /// `consumer/doubt.rs`: in doubt, the same key is used only while the third party remembers it.
    WindowKept,
    /// `consumer/doubt.rs`: in doubt, the same key is used only if the attempt's whole lease fits into that time.
    WindowLeavesRoom,
    /// `consumer/attempt.rs`: after a call without an answer, a look-up waits for as long as that call may take.
    DoubtRests,
    /// `effects/guard/advance.rs`: one transaction records that a step's predecessor is done and that the step begins.
    BegunWithCommit,
    /// `effects/guard/advance.rs`: a step's record is put only where there is none.
    BegunIfAbsent,
    /// `effects/guard/advance.rs`: a predecessor is added to the record that awaits several only while that record is as it
    /// was seen.
    ArrivalsCompared,
    /// `effects/guard/advance.rs`: a step that begins is on the agenda, also while a process works on it.
    BegunIsDue,
}
