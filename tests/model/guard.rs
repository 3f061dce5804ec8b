//! The guard's writes (`effects/guard/claim.rs`, `settle.rs`): claim, take over, watch, commit, defer, park. What a refused write
//! shows of the record is read and acted on in the same step.

use super::{
    action::{Action, Steps},
    effect::{Record, Status},
    message::{Job, Phase, Who},
    rule::Rule,
    state::State,
    world::{LEASE, Policy, World},
};

impl Steps<'_> {
    pub(super) fn claim(&mut self, who: Who, index: usize) {
        if !self.may_begin(who, index) {
            return;
        }
        let world = *self.world;
        let Job { effect, offset, .. } = self.state.consumers[who].jobs[index];
        self.add(Action::Claim { who, effect, offset }, |state| state.claim(who, index, &world));
        self.unanswered(who, index, |state| state.claim(who, index, &world));
    }

    pub(super) fn take_over(&mut self, who: Who, index: usize) {
        let world = *self.world;
        let effect = self.state.consumers[who].jobs[index].effect;
        self.add(Action::TakeOver { who, effect }, |state| state.take_over(who, index, &world));
        self.unanswered(who, index, |state| state.take_over(who, index, &world));
    }

    pub(super) fn write(&mut self, who: Who, index: usize) {
        let world = *self.world;
        let Job { effect, phase: what, .. } = self.state.consumers[who].jobs[index];
        self.add(Action::Write { who, effect, what }, |state| state.write(who, index, &world));
        self.unanswered(who, index, |state| state.write(who, index, &world));
    }

    /// A write gets no answer, and may have been applied: the message stays in the topic.
    pub(super) fn unanswered(&mut self, who: Who, index: usize, write: impl Fn(&mut State)) {
        let Job { effect, phase: what, .. } = self.state.consumers[who].jobs[index];
        for applied in [false, true] {
            if self.state.faults.unanswered > 0 {
                self.add(Action::Unanswered { who, effect, what, applied }, |state| {
                    let jobs = state.consumers[who].jobs.len();
                    state.faults.unanswered -= 1;
                    if applied {
                        write(state);
                        // No attempt begins.
                        state.consumers[who].jobs.truncate(jobs);
                    }
                    state.job(who, index).ends(Phase::Unsettled);
                });
            }
        }
    }
}

impl State {
    /// One conditional write, and what its refusal means.
    pub(super) fn claim(&mut self, who: Who, index: usize, world: &World) {
        let clock = self.consumers[who].clock;
        let job = self.consumers[who].jobs[index].clone();
        let id = self.new_attempt(job.effect);
        let record = &mut self.records[job.effect];
        // The agenda showed this very attempt.
        self.too_early |=
            !job.is_message() && record.lease > clock && record.holder == job.claimed && job.claimed != 0;
        let fits = record.attempt == job.attempt || !world.keeps(Rule::OutdatedRefused);
        let phase = match record.status {
            Status::Absent | Status::Pending | Status::Waiting if fits => {
                if record.attempt == 0 {
                    record.window = world.memory.map_or(0, |memory| memory + clock);
                }
                let stays_due = record.due.is_some() && world.keeps(Rule::ClaimsStayDue);
                record.take(id, &job, stays_due || world.journal, clock, world);
                record.after_claim(false, clock, world)
            }
            Status::InProgress if record.lease > clock => Phase::Watching { deferred: false },
            Status::InProgress => Phase::TakingOver,
            _ => Phase::Settled,
        };
        let seen = record.clone();
        self.job(who, index).goes_on(phase, &seen);
        self.settle_by_claim(who, index);
    }

    /// The take-over always puts the record on the agenda: messages of the attempt before may have been acked because it was
    /// there.
    fn take_over(&mut self, who: Who, index: usize, world: &World) {
        let clock = self.consumers[who].clock;
        let job = self.consumers[who].jobs[index].clone();
        let id = self.new_attempt(job.effect);
        let record = &mut self.records[job.effect];
        let is_as_seen = record.holder == job.claimed;
        let phase = if is_as_seen || !world.keeps(Rule::TakeOverFenced) {
            self.overwritten |= !is_as_seen;
            record.doubt |= world.keeps(Rule::ExpiredInDoubt);
            record.take(id, &job, world.keeps(Rule::ClaimsStayDue), clock, world);
            record.after_claim(true, clock, world)
        } else if record.status == Status::InProgress {
            Phase::Watching { deferred: false }
        } else {
            Phase::Settled
        };
        let seen = record.clone();
        self.job(who, index).goes_on(phase, &seen);
        self.settle_by_claim(who, index);
    }

    /// Commit, defer, park: fenced on the attempt. Watch: fenced on the attempt that was seen.
    pub(super) fn write(&mut self, who: Who, index: usize, world: &World) {
        let job = self.consumers[who].jobs[index].clone();
        let record = &mut self.records[job.effect];
        let is_current = record.holder == job.claimed;
        let phase = match job.phase {
            Phase::Watching { .. } if !world.keeps(Rule::HeldIsWatched) => Phase::Settled,
            Phase::Watching { .. } if is_current || !world.keeps(Rule::WatchFenced) => {
                record.due = Some(job.attempt);
                record.early = !world.keeps(Rule::HandOverDueAtLeaseEnd);
                Phase::Settled
            }
            // That attempt has just ended, or has been taken over, which leaves it on the agenda.
            Phase::Watching { deferred } => {
                if deferred {
                    Phase::Settled
                } else {
                    Phase::Received
                }
            }
            _ if is_current || !world.keeps(Rule::WritesFenced) => {
                self.overwritten |= !is_current;
                record.end(job.phase, job.count, world);
                Phase::Settled
            }
            _ => Phase::Unsettled,
        };
        self.job(who, index).ends(phase);
    }
}

impl Job {
    /// What is seen of the record is kept as long as something is to be done about it.
    pub(super) fn goes_on(&mut self, phase: Phase, seen: &Record) {
        self.ends(phase);
        if phase.is_between() {
            (self.claimed, self.count) = (seen.holder, seen.attempt);
        }
    }

    pub(super) fn ends(&mut self, phase: Phase) {
        (self.phase, self.held_up, self.claimed, self.count) = (phase, false, 0, 0);
    }
}

impl Record {
    /// What each claim writes.
    fn take(&mut self, id: u8, job: &Job, stays_due: bool, clock: i8, world: &World) {
        (self.status, self.holder, self.early) = (Status::InProgress, id, false);
        self.attempt = (self.attempt + 1).min(world.max_attempts + 1);
        self.lease = LEASE + clock;
        self.due = stays_due.then_some(job.attempt);
    }

    /// What each end of an attempt writes.
    fn end(&mut self, how: Phase, attempt: u8, world: &World) {
        let lease = std::mem::take(&mut self.lease);
        (self.holder, self.due, self.early) = (0, None, false);
        match how {
            Phase::Committing => (self.status, self.doubt) = (Status::Done, false),
            Phase::Deferring { doubt } => {
                (self.status, self.due) = (Status::Waiting, Some(attempt));
                self.doubt |= doubt && world.keeps(Rule::DoubtRemembered);
                if doubt && world.policy == Policy::LookUp {
                    self.lease = lease;
                }
            }
            _ => self.status = Status::Parked,
        }
    }

    /// Whether it is too early to ask about a doubt.
    pub(super) fn rests(&self, clock: i8, world: &World) -> bool {
        world.keeps(Rule::DoubtRests) && self.status == Status::Waiting && self.lease > clock
    }
}
