//! A job to its end (`consumer/work.rs`, `attempt.rs`, `doubt.rs`, `look_up.rs`), and the third party with its ledger.

use super::{
    action::{Action, Outcome, Steps},
    effect::{Record, Which},
    message::{Job, Phase, Who},
    rule::Rule,
    state::State,
    world::{LEASE, Policy, World},
};

const OUTCOMES: [Outcome; 6] = [
    Outcome::Applied,
    Outcome::AppliedUnanswered,
    Outcome::NothingUnanswered,
    Outcome::StillAtIt,
    Outcome::NotNow,
    Outcome::Never,
];

/// An effect that was taken over is tried at once up to this attempt, and deferred first from then on.
const AT_ONCE: u8 = 2;

impl Steps<'_> {
    pub(super) fn of_work(&mut self, who: Who) {
        for index in 0..self.state.consumers[who].jobs.len() {
            match self.state.consumers[who].jobs[index].phase {
                Phase::Received if self.world.instant => self.work(who, index),
                Phase::Received => {
                    self.claim(who, index);
                    self.defer_before_claim(who, index);
                }
                Phase::TakingOver => self.take_over(who, index),
                Phase::Asking => self.ask(who, index),
                Phase::Calling => {
                    self.call(who, index);
                    self.hand_over(who, index);
                }
                Phase::Committing | Phase::Deferring { .. } | Phase::Parking | Phase::Watching { .. } => {
                    self.write(who, index);
                }
                Phase::Settled | Phase::Unsettled | Phase::Refused => {}
            }
        }
    }

    /// Works on a message to its end, in one step.
    fn work(&mut self, who: Who, index: usize) {
        let world = *self.world;
        let effect = self.state.consumers[who].jobs[index].effect;
        self.add(Action::Work { who, effect }, |state| {
            state.claim(who, index, &world);
            if state.job(who, index).phase == Phase::Calling {
                state.apply(effect, &world);
                state.job(who, index).called(Phase::Committing);
                state.write(who, index, &world);
            }
        });
        self.unanswered(who, index, |_| {});
    }

    /// The third party answers truly; or it can't tell, which counts as a call without an answer.
    fn ask(&mut self, who: Who, index: usize) {
        let world = self.world;
        let Job { effect, count, .. } = self.state.consumers[who].jobs[index];
        let answer = if self.state.ledgers[effect].applied > 0 {
            Phase::Committing
        } else {
            world.within_budget(count)
        };
        for then in [answer, world.not_applied(Outcome::NothingUnanswered, count)] {
            self.add(Action::Ask { who, effect, then }, |state| state.job(who, index).called(then));
        }
    }

    /// Effects other than the first are always applied at once, to keep the graph small.
    fn call(&mut self, who: Who, index: usize) {
        let world = *self.world;
        let Job { effect, count, .. } = self.state.consumers[who].jobs[index];
        for outcome in OUTCOMES {
            let is_late = outcome == Outcome::StillAtIt;
            if (effect > 0 && outcome != Outcome::Applied)
                || (is_late && (!world.lands_late || self.state.ledgers[effect].late))
            {
                continue;
            }
            self.add(Action::Call { who, effect, outcome }, |state| {
                if matches!(outcome, Outcome::Applied | Outcome::AppliedUnanswered) {
                    state.apply(effect, &world);
                }
                state.ledgers[effect].late |= is_late;
                let applied = outcome == Outcome::Applied;
                let then = if applied { Phase::Committing } else { world.not_applied(outcome, count) };
                state.job(who, index).called(then);
            });
        }
    }
}

impl Job {
    fn called(&mut self, then: Phase) {
        (self.phase, self.held_up) = (then, false);
    }
}

impl World {
    fn within_budget(&self, attempt: u8) -> Phase {
        if attempt > self.max_attempts { Phase::Parking } else { Phase::Calling }
    }

    /// What an attempt does about a call that is not known to have been applied.
    fn not_applied(&self, outcome: Outcome, attempt: u8) -> Phase {
        let doubt = outcome != Outcome::NotNow;
        if outcome == Outcome::Never || (doubt && self.policy == Policy::Park) || attempt >= self.max_attempts
        {
            return Phase::Parking;
        }
        Phase::Deferring { doubt }
    }
}

impl Record {
    /// What follows a claim, by the step's policy.
    pub(super) fn after_claim(&self, taken_over: bool, clock: i8, world: &World) -> Phase {
        match world.policy {
            _ if !self.doubt => world.within_budget(self.attempt),
            Policy::Park => Phase::Parking,
            _ if taken_over && self.attempt > AT_ONCE => world.not_applied(Outcome::NotNow, self.attempt),
            Policy::SameKey if self.is_too_late(clock, world) => Phase::Parking,
            Policy::SameKey => world.within_budget(self.attempt),
            Policy::LookUp => Phase::Asking,
        }
    }

    fn is_too_late(&self, clock: i8, world: &World) -> bool {
        let needed = if world.keeps(Rule::WindowLeavesRoom) { LEASE } else { 0 };
        world.memory.is_some() && world.keeps(Rule::WindowKept) && self.window - clock < needed
    }
}

impl State {
    /// The third party applies an effect, unless it dedupes and remembers the key.
    pub(super) fn apply(&mut self, effect: Which, world: &World) {
        let ledger = &mut self.ledgers[effect];
        let is_known = ledger.applied > 0 && (world.memory.is_none() || ledger.memory > 0);
        if world.policy == Policy::SameKey && is_known {
            return;
        }
        ledger.applied = (ledger.applied + 1).min(2);
        // The key is forgotten after the last tick of the memory.
        ledger.memory = world.memory.map_or(0, |memory| memory + 1);
    }
}
