//! A breadth-first search of every reachable state, and a search back from the good ends.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    time::{Duration, Instant},
};

use super::{
    action::{Action, Steps},
    state::State,
    world::World,
};

/// What a check came to.
pub(super) struct Checked {
    pub(super) states: usize,
    pub(super) steps: usize,
    pub(super) depth: usize,
    pub(super) time: Duration,
    /// What was violated, and the shortest way there.
    pub(super) counterexample: Option<(&'static str, Vec<Action>)>,
}

pub(super) const STUCK: &str = "from here nothing settles any more, though nothing more goes wrong";

/// The graph so far. A state is known by its hash of 64 bits: among a million states, two are taken for one with a
/// probability of one in 37 million.
#[derive(Default)]
struct Graph {
    known: HashMap<u64, u32>,
    states: Vec<State>,
    /// How each state was first reached.
    from: Vec<Option<(u32, Action)>>,
    depth: Vec<u32>,
    /// Steps that are no faults, backwards.
    into: Vec<Vec<u32>>,
}

/// Explores a world until a rule of the world is violated, or everything has been seen.
pub(super) fn check(world: &World) -> Checked {
    let start = Instant::now();
    let mut graph = Graph::default();
    graph.add(State::start(world), None);
    let mut steps = 0;
    let mut at = 0;
    let mut found = None;
    while at < graph.states.len() && found.is_none() {
        if let Some(what) = graph.states[at].violation() {
            found = Some((what, graph.way_to(at)));
            break;
        }
        for (action, next) in Steps::of(&graph.states[at], world) {
            steps += 1;
            let to = graph.add(next, Some((at as u32, action)));
            if !action.is_fault() {
                graph.into[to].push(at as u32);
            }
        }
        at += 1;
    }
    let counterexample = found.or_else(|| graph.stuck().map(|at| (STUCK, graph.way_to(at))));
    let depth = graph.depth.last().map_or(0, |depth| *depth as usize);
    Checked { states: graph.states.len(), steps, depth, time: start.elapsed(), counterexample }
}

impl Graph {
    fn add(&mut self, state: State, from: Option<(u32, Action)>) -> usize {
        let mut hasher = DefaultHasher::new();
        state.hash(&mut hasher);
        let new = self.states.len();
        let index = *self.known.entry(hasher.finish()).or_insert(new as u32) as usize;
        if index == new {
            self.depth.push(from.map_or(0, |(before, _)| self.depth[before as usize] + 1));
            self.states.push(state);
            self.from.push(from);
            self.into.push(Vec::new());
        }
        index
    }

    fn way_to(&self, mut at: usize) -> Vec<Action> {
        let mut way = Vec::new();
        while let Some((before, action)) = self.from[at] {
            way.push(action);
            at = before as usize;
        }
        way.reverse();
        way
    }

    /// The first state from which no settled one can be reached without further faults. There being none, every fair
    /// schedule settles everything: the graph is finite, and a way out that is always open is taken at some time.
    fn stuck(&self) -> Option<usize> {
        let mut settles: Vec<bool> = self.states.iter().map(State::is_settled).collect();
        let mut left: Vec<usize> = (0..settles.len()).filter(|at| settles[*at]).collect();
        while let Some(at) = left.pop() {
            for before in &self.into[at] {
                if !std::mem::replace(&mut settles[*before as usize], true) {
                    left.push(*before as usize);
                }
            }
        }
        settles.iter().position(|settles| !settles)
    }
}
