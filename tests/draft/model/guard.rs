//! The guard and the third party: claim, ask, call, and one of commit, defer, park and watch.

use super::{
    action::{Action, Outcome, Steps},
    state::{Job, Phase, Record, State, Status, Which, Who},
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

impl Steps<'_> {
    pub(super) fn of_work(&mut self, who: Who) {
        for index in 0..self.state.consumers[who].jobs.len() {
            match self.state.consumers[who].jobs[index].phase {
                Phase::Received => self.claim(who, index),
                Phase::Asking => self.ask(who, index),
                Phase::Calling => self.call(who, index),
                Phase::Settled | Phase::Unsettled => {}
                Phase::Committing | Phase::Deferring { .. } | Phase::Parking | Phase::Watching => {
                    self.write(who, index);
                }
            }
        }
    }

    /// One at a time for each effect, within a process.
    fn has_turn(&self, who: Who, job: &Job) -> bool {
        !self.state.consumers[who]
            .jobs
            .iter()
            .any(|other| other.effect == job.effect && other.phase.is_between())
    }

    fn claim(&mut self, who: Who, index: usize) {
        let job = &self.state.consumers[who].jobs[index];
        if !self.has_turn(who, job) {
            return;
        }
        let (effect, offset, world) = (job.effect, job.offset, *self.world);
        self.add(Action::Claim { who, effect, offset }, |state| state.claim(who, index, &world));
        if self.state.faults.unanswered > 0 {
            let action = Action::Unanswered { who, effect, what: Phase::Received, applied: true };
            self.add(action, |state| {
                state.faults.unanswered -= 1;
                state.claim(who, index, &world);
                state.job(who, index).phase = Phase::Unsettled;
            });
        }
    }

    /// The third party knows, and says so; or can't tell, and that is "later".
    fn ask(&mut self, who: Who, index: usize) {
        let job = &self.state.consumers[who].jobs[index];
        let effect = job.effect;
        let found = self.state.ledgers[effect].applied > 0;
        self.add(Action::Ask { who, effect }, |state| {
            state.job(who, index).phase = if found { Phase::Committing } else { Phase::Calling };
        });
    }

    fn call(&mut self, who: Who, index: usize) {
        let world = *self.world;
        let job = self.state.consumers[who].jobs[index].clone();
        for outcome in OUTCOMES {
            if job.effect == 1 && !matches!(outcome, Outcome::Applied) {
                continue;
            }
            if outcome == Outcome::StillAtIt && (!world.lands_late || self.state.ledgers[job.effect].late) {
                continue;
            }
            self.add(Action::Call { who, effect: job.effect, outcome }, |state| {
                match outcome {
                    Outcome::Applied | Outcome::AppliedUnanswered => state.apply(job.effect, &world),
                    Outcome::StillAtIt => state.ledgers[job.effect].late = true,
                    Outcome::NothingUnanswered | Outcome::NotNow | Outcome::Never => {}
                }
                state.job(who, index).phase = next_after(outcome, job.claimed, &world);
            });
        }
    }

    fn write(&mut self, who: Who, index: usize) {
        let world = *self.world;
        let job = &self.state.consumers[who].jobs[index];
        let (effect, what) = (job.effect, job.phase);
        self.add(Action::Write { who, effect, what }, |state| state.write(who, index, &world));
        if self.state.faults.unanswered == 0 {
            return;
        }
        for applied in [false, true] {
            self.add(Action::Unanswered { who, effect, what, applied }, |state| {
                state.faults.unanswered -= 1;
                if applied {
                    state.write(who, index, &world);
                }
                state.job(who, index).phase = Phase::Unsettled;
            });
        }
    }
}

/// What an attempt does about its call's outcome.
fn next_after(outcome: Outcome, attempt: u8, world: &World) -> Phase {
    let used_up = attempt >= world.max_attempts;
    match outcome {
        Outcome::Applied => Phase::Committing,
        Outcome::Never => Phase::Parking,
        Outcome::NotNow if used_up => Phase::Parking,
        Outcome::NotNow => Phase::Deferring { doubt: false },
        _ if used_up || world.policy == Policy::Park => Phase::Parking,
        _ => Phase::Deferring { doubt: true },
    }
}

impl State {
    /// The third party applies an effect, unless it knows the key.
    pub(super) fn apply(&mut self, effect: Which, world: &World) {
        let ledger = &mut self.ledgers[effect];
        let known = match world.window {
            None => ledger.applied > 0,
            Some(_) => ledger.memory > 0,
        };
        if world.policy == Policy::SameKey && known {
            return;
        }
        ledger.applied = (ledger.applied + 1).min(2);
        ledger.memory = world.window.map_or(0, |(_, memory)| memory);
    }

    /// One conditional write, and what its refusal means.
    fn claim(&mut self, who: Who, index: usize, world: &World) {
        let clock = self.consumers[who].clock;
        let job = &self.consumers[who].jobs[index];
        let record = &mut self.records[job.effect];
        let mut claimed = record.attempt;
        let phase = match record.status {
            Status::Absent | Status::Pending | Status::Waiting if record.attempt == job.attempt => {
                claimed = record.take(clock, world, job.attempt);
                record.after_claim(clock, world)
            }
            Status::InProgress if record.lease > clock => Phase::Watching,
            Status::InProgress => {
                record.doubt |= world.rules.expired_is_in_doubt;
                claimed = record.take(clock, world, job.attempt);
                record.after_claim(clock, world)
            }
            Status::Absent => unreachable!("a command is relayed from a record, and records are kept"),
            Status::Pending | Status::Waiting | Status::Done | Status::Parked => Phase::Settled,
        };
        let job = self.job(who, index);
        (job.phase, job.claimed) = (phase, claimed);
    }

    /// Commit, defer, park: fenced on the attempt. Watch: fenced on the attempt that was seen.
    fn write(&mut self, who: Who, index: usize, world: &World) {
        let job = self.consumers[who].jobs[index].clone();
        let record = &mut self.records[job.effect];
        let current = record.status == Status::InProgress && record.attempt == job.claimed;
        let phase = match job.phase {
            Phase::Watching if !world.rules.held_is_watched => Phase::Settled,
            Phase::Watching if current => {
                record.due = Some(job.attempt);
                Phase::Settled
            }
            // It has just reported back: claim again.
            Phase::Watching => Phase::Received,
            _ if current || !world.rules.writes_fenced => {
                self.overwritten |= !current;
                record.end(job.phase, job.claimed, world);
                Phase::Settled
            }
            _ => Phase::Unsettled,
        };
        let job = self.job(who, index);
        job.phase = phase;
        if !phase.is_between() {
            job.claimed = 0;
        }
    }
}

impl Record {
    /// What every claim writes. It leaves the agenda, which a journal trusts more than the broker.
    fn take(&mut self, clock: i8, world: &World, command: u8) -> u8 {
        if let (0, Some((window, _))) = (self.attempt, world.window) {
            self.window = window + clock;
        }
        self.status = Status::InProgress;
        self.attempt += 1;
        self.lease = LEASE + clock;
        let stays = world.rules.journal || (world.rules.claims_stay_due && self.attempt > 1);
        self.due = stays.then_some(command);
        self.attempt
    }

    /// What the claim is good for, by the step's policy.
    fn after_claim(&self, clock: i8, world: &World) -> Phase {
        let too_late = world.window.is_some() && world.rules.window_kept && self.window - clock < 0;
        match world.policy {
            _ if !self.doubt && self.attempt > world.max_attempts => Phase::Parking,
            _ if !self.doubt => Phase::Calling,
            Policy::Park => Phase::Parking,
            Policy::SameKey if too_late || self.attempt > world.max_attempts => Phase::Parking,
            Policy::SameKey => Phase::Calling,
            Policy::LookUp => Phase::Asking,
        }
    }

    fn end(&mut self, how: Phase, attempt: u8, world: &World) {
        let lease = self.lease;
        (self.lease, self.due) = (0, None);
        match how {
            Phase::Committing => (self.status, self.doubt) = (Status::Done, false),
            Phase::Deferring { doubt } => {
                (self.status, self.due) = (Status::Waiting, Some(attempt));
                self.doubt |= doubt;
                if doubt && world.rules.doubt_rests {
                    self.lease = lease;
                }
            }
            _ => self.status = Status::Parked,
        }
    }
}
