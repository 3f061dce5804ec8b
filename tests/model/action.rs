//! The steps between states, by the names that a counterexample shows.

use super::{
    effect::Which,
    message::{Phase, Who},
    state::State,
    world::World,
};

/// The outcome of a call (`functions/outcome.rs`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Applied,
    /// Applied, and the answer was lost.
    AppliedUnanswered,
    /// Not applied, and the answer was lost.
    NothingUnanswered,
    /// No answer in time, and the third party is still at work on it.
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
    Count { who: Who, in_flight: usize },
    ProveByLimit { who: Who },
    ProveByClock { who: Who },
    Ack { who: Who, effect: Which, offset: u8 },
    AckUpTo { who: Who, offset: u8 },
    AckRefused { who: Who, offset: u8 },
    Oust { who: Who },
    End { who: Who },
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
    // Faults.
    Crash { who: Who, half_open: bool },
    RestartBroker,
    WipeBroker,
    CutStream { who: Who },
    DeliverLate { to: Who, effect: Which, offset: u8 },
    AckUnanswered { who: Who, offset: u8, carried_out_up_to: u8 },
    Unanswered { who: Who, effect: Which, what: Phase, applied: bool },
    HoldUp { who: Who, effect: Which, what: Phase },
    RenewalsFail { who: Who },
    MetricsFail { who: Who },
}

impl Action {
    /// Whether it is a fault: nothing may need it in order to settle.
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
                | Self::MetricsFail { .. }
        )
    }
}

/// Collects the steps out of one state.
pub(super) struct Steps<'a> {
    pub(super) state: &'a State,
    pub(super) world: &'a World,
    next: Vec<(Action, State)>,
}

impl<'a> Steps<'a> {
    /// All steps out of a state.
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

    /// A step that changes nothing is left out.
    pub(super) fn add(&mut self, action: Action, change: impl FnOnce(&mut State)) {
        let mut state = self.state.clone();
        change(&mut state);
        state.normalise();
        if state != *self.state {
            self.next.push((action, state));
        }
    }
}
