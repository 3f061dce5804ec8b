//! `functions/effects/guard/advance.rs`: three effects, and a fourth that comes after all of them. A model of its own, since
//! nothing else matters here: each of the three is called and at last recorded, by processes that may die.
//!
//! Each process reads the fourth's record. Then it writes that its own effect is done, and what follows for the fourth. DynamoDB
//! applies both writes or, if a condition does not hold, neither.

use std::collections::{HashMap, VecDeque};

use super::rule::Rule;

const BEFORE: usize = 3;
const ALL: u8 = 0b111;

/// The fourth's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Join {
    Absent,
    /// These of the three are done.
    Awaiting(u8),
    Pending {
        due: bool,
    },
    Done,
}

/// The process of one of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Process {
    /// The third party has answered.
    Called,
    /// It has seen the fourth's record.
    Looked(Join),
    /// Its effect is recorded, and what follows for the fourth is not: only without the rule that both are one transaction.
    Recorded(Join),
    /// It goes on with the fourth.
    GoesOn,
    Ended,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct State {
    done: u8,
    join: Join,
    processes: [Process; BEFORE],
    crashes: u8,
    applied: u8,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    /// The fourth is applied twice.
    Twice,
    /// It is applied before all three are done.
    Early,
    /// It will never be applied.
    Never,
}

/// How many states there are, and the first that is wrong.
pub(super) fn check(without: Option<Rule>) -> (usize, Option<Wrong>) {
    let start =
        State { done: 0, join: Join::Absent, processes: [Process::Called; BEFORE], crashes: 0, applied: 0 };
    let mut known = HashMap::from([(start.clone(), 0)]);
    let (mut left, mut into, mut settled) = (VecDeque::from([start]), vec![Vec::new()], Vec::new());
    while let Some(state) = left.pop_front() {
        let at = known[&state];
        if state.applied > 1 {
            return (known.len(), Some(Wrong::Twice));
        }
        if state.applied == 1 && state.done != ALL {
            return (known.len(), Some(Wrong::Early));
        }
        if state.join == Join::Done {
            settled.push(at);
        }
        for (is_fault, next) in state.steps(without) {
            let new = known.len();
            let to = *known.entry(next.clone()).or_insert(new);
            if to == new {
                into.push(Vec::new());
                left.push_back(next);
            }
            if !is_fault {
                into[to].push(at);
            }
        }
    }
    let mut settles = vec![false; known.len()];
    while let Some(at) = settled.pop() {
        if !std::mem::replace(&mut settles[at], true) {
            settled.extend(&into[at]);
        }
    }
    (known.len(), settles.contains(&false).then_some(Wrong::Never))
}

impl State {
    fn steps(&self, without: Option<Rule>) -> Vec<(bool, Self)> {
        let mut next = Vec::new();
        for which in 0..BEFORE {
            next.extend(self.step(which, without).map(|state| (false, state)));
            let may_die = self.crashes < 2 && self.processes[which] != Process::Ended;
            next.extend(may_die.then(|| (true, self.die(which))));
        }
        if self.join == (Join::Pending { due: true }) {
            next.push((false, self.apply()));
        }
        next
    }

    /// The process dies. Its effect is taken over, unless it is recorded.
    fn die(&self, which: usize) -> Self {
        let is_done = self.done & (1 << which) != 0;
        let mut state = Self { crashes: self.crashes + 1, ..self.clone() };
        state.processes[which] = if is_done { Process::Ended } else { Process::Called };
        state
    }

    fn step(&self, which: usize, without: Option<Rule>) -> Option<Self> {
        let mut state = self.clone();
        let is_one = without != Some(Rule::BegunWithCommit);
        match self.processes[which] {
            Process::Called => state.processes[which] = Process::Looked(self.join),
            Process::Looked(_) if !is_one => {
                state.done |= 1 << which;
                state.processes[which] = Process::Recorded(self.join);
            }
            Process::Looked(seen) | Process::Recorded(seen) => match self.write(which, seen, without) {
                Some(join) => {
                    state.done |= 1 << which;
                    state.processes[which] = match join {
                        Join::Pending { .. } if join != self.join => Process::GoesOn,
                        _ => Process::Ended,
                    };
                    state.join = join;
                }
                // Refused: it looks again.
                None if is_one => state.processes[which] = Process::Looked(self.join),
                None => state.processes[which] = Process::Recorded(self.join),
            },
            Process::GoesOn => {
                state.processes[which] = Process::Ended;
                if matches!(self.join, Join::Pending { .. }) {
                    state = Self { processes: state.processes, ..self.apply() };
                }
            }
            Process::Ended => return None,
        }
        Some(state)
    }

    /// The fourth's record after the write of a process that has read it as `seen`. None: a condition does not hold.
    fn write(&self, which: usize, seen: Join, without: Option<Rule>) -> Option<Join> {
        let is_as_seen = match seen {
            Join::Absent => self.join == Join::Absent || without == Some(Rule::BegunIfAbsent),
            Join::Awaiting(_) => {
                let is_awaiting = matches!(self.join, Join::Awaiting(_));
                self.join == seen || is_awaiting && without == Some(Rule::ArrivalsCompared)
            }
            Join::Pending { .. } | Join::Done => return Some(self.join),
        };
        let before = if let Join::Awaiting(done) = seen { done } else { 0 };
        let join = match before | (1 << which) {
            ALL => Join::Pending { due: without != Some(Rule::BegunIsDue) },
            some => Join::Awaiting(some),
        };
        is_as_seen.then_some(join)
    }

    /// Claimed and called by the first consumer: the guard ensures it.
    fn apply(&self) -> Self {
        Self { join: Join::Done, applied: self.applied + 1, ..self.clone() }
    }
}
