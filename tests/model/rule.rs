//! The rules of the protocol, by the files in `functions/` that have them. `docs/rules.md` has the tests of each.

/// Makes the rules, and a list of them all.
macro_rules! rules {
    ($($(#[$doc:meta])+ $rule:ident,)+) => {
        /// A rule of the protocol, and where the code has it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Rule {
            $($(#[$doc])+ $rule,)+
        }

        /// Every rule.
        pub(super) const ALL: &[Rule] = &[$(Rule::$rule,)+];
    };
}

rules! {
    /// `ack_order`: a message is acked only when every lower one received on the stream has been.
    AcksInOrder,
    /// `drain`, `ack_order`: no ack before it is proven that no lower message is in other hands.
    AcksOnProof,
    /// `ack_order`: the limit of messages in flight is what the broker has told, and no constant.
    LimitAsked,
    /// `ack_order`: a message whose ack may have been carried out is not counted as in flight.
    OnlySureCounted,
    /// `drain`: a count is not used if an ack was sent while it was asked for.
    AckVoidsCount,
    /// `drain`: without any proof, no acks before a dead predecessor's messages have come back.
    FirstAcksHeld,
    /// `drain`: without counts, no ack while a lower message may still be on its way.
    OvertakenAwaited,
    /// `ack_order`: where acks are cumulative, a gap behind what is proven is waited for.
    GapsAwaited,
    /// `drain`: what was delivered again is acked by itself as well, since a cumulative ack leaves it in flight where it is
    /// below the high-water mark.
    RedeliveredAckedAlone,
    /// `drain`: an ack that got no answer is sent again.
    LostAckSentAgain,
    /// `drain`, `broker::stream`: what was received on a broken stream is not acked on the next.
    AcksEndWithStream,
    /// `ack_order`: a proof holds on the stream on which it was had, and on no other.
    ProofEndsWithStream,
    /// `stream_lease`: a consumer needs the lease on a stream to open it.
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
    /// `guard::claim`: a claim from the agenda, or in place, leaves the effect on the agenda.
    ClaimsStayDue,
    /// `guard::settle`: a message whose effect another attempt has is acked only when the record is on the agenda.
    HeldIsWatched,
    /// `guard::settle`: put on the agenda only while the record bears the attempt that was seen.
    WatchFenced,
    /// `guard::settle`: the message of a slow call is acked only when the record is on the agenda.
    HandOverIsDurable,
    /// `guard::settle`: what is handed over comes due when its lease ends, not sooner.
    HandOverDueAtLeaseEnd,
    /// `agenda`: a deferral before the claim that finds the effect in progress puts its record on the agenda.
    PresentIsWatched,
    /// `guard::settle`: a deferral remembers that the outcome is not known.
    DoubtRemembered,
    /// `step`: in doubt, the same key is used only within the third party's memory of it.
    WindowKept,
    /// `step`: and so early that all of the attempt's lease falls into it.
    WindowLeavesRoom,
    /// `attempt`: after a call that got no answer, the third party is not asked before that call's lease is over.
    DoubtRests,
}
