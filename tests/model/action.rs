//! What can happen next: one name for each kind of step, as it stands in a counterexample.

use super::{
    effect::Which,
    message::{Phase, Who},
    state::State,
    world::World,
};

/// What a call comes to (`consumer::outcome`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Applied,
    /// Applied, and the answer was lost.
    AppliedUnanswered,
    /// Not applied, which is not known.
    NothingUnanswered,
    /// No answer in time, and the third party is still at it.
    StillAtIt,
    /// Refused for now, or not sent.
    NotNow,
    /// Refused for good.
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Tick,
    // A consumer's invocation.
    Wake { who: Who, clock_ahead: i8 },
    TakeDue { who: Who, effect: Which },
    Connect { who: Who },
    AskCount { who: Who },
    Count { who: Who },
    HoldAll { who: Who },
    Ack { who: Who, effect: Which, offset: u8 },
    AckUpTo { who: Who, effect: Which, offset: u8 },
    Ousted { who: Who },
    Leave { who: Who },
    // An attempt.
    Work { who: Who, effect: Which },
    Claim { who: Who, effect: Which, offset: u8 },
    DeferBeforeClaim { who: Who, effect: Which, offset: u8 },
    HandOver { who: Who, effect: Which, offset: u8 },
    TakeOver { who: Who, effect: Which },
    Ask { who: Who, effect: Which, then: Phase },
    Call { who: Who, effect: Which, outcome: Outcome },
    Write { who: Who, effect: Which, what: Phase },
    // The broker.
    Deliver { to: Who, effect: Which, offset: u8, again: bool },
    Arrive { to: Who, effect: Which, offset: u8 },
    DeliverNowhere { effect: Which, offset: u8 },
    NoticeDeadStream,
    // The third party.
    LandLate { effect: Which },
    NeverLand { effect: Which },
    // What goes wrong.
    Crash { who: Who, half_open: bool },
    RestartBroker,
    WipeBroker,
    CutStream { who: Who },
    DeliverLate { to: Who, effect: Which, offset: u8 },
    AckUnanswered { who: Who, effect: Which, offset: u8, applied: bool },
    Unanswered { who: Who, effect: Which, what: Phase, applied: bool },
    HoldUp { who: Who, effect: Which, what: Phase },
    RenewalsFail { who: Who },
}

impl Action {
    /// Nothing that must happen for things to come to an end.
    pub(super) fn is_fault(self) -> bool {
        matches!(
            self,
            Self::Crash { .. }
                | Self::RestartBroker
                | Self::WipeBroker
                | Self::CutStream { .. }
                | Self::DeliverLate { .. }
                | Self::AckUnanswered { .. }
                | Self::Unanswered { .. }
                | Self::HoldUp { .. }
                | Self::RenewalsFail { .. }
        )
    }
}

/// The steps out of one state, as they are found.
pub(super) struct Steps<'a> {
    pub(super) state: &'a State,
    pub(super) world: &'a World,
    next: Vec<(Action, State)>,
}

impl<'a> Steps<'a> {
    /// Every step out of a state.
    pub(super) fn of(state: &'a State, world: &'a World) -> Vec<(Action, State)> {
        let mut steps = Self { state, world, next: Vec::new() };
        steps.of_time();
        steps.of_broker();
        steps.of_faults();
        for who in [0, 1] {
            steps.of_consumer(who);
            steps.of_work(who);
        }
        steps.next
    }

    /// A step that changes nothing is none.
    pub(super) fn add(&mut self, action: Action, change: impl FnOnce(&mut State)) {
        let mut state = self.state.clone();
        change(&mut state);
        state.normalise();
        if state != *self.state {
            self.next.push((action, state));
        }
    }
}
