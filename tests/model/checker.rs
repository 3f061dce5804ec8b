//! A breadth-first search of all reachable states, and a backward search from the settled ones.
//!
//! Why not `stateright` (0.31): its `eventually` is sound only on acyclic graphs, as its documentation says, and this graph has
//! cycles: retries, and time. To tell whether everything can still settle, the whole graph is needed, with its edges reversed.
//! With that graph, the search for violations, with a shortest counterexample, costs nothing more. `stateright` would also bring
//! a web server and a dozen other crates, and has no features to leave them out.

use std::{
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
};

use super::{
    action::{Action, Steps},
    properties::Broken,
    state::State,
    world::World,
};

/// The most states that a check may have. It bounds memory, and stops a check that would not end.
const MOST: usize = 1_500_000;

/// The result of a check.
pub(super) struct Checked {
    pub(super) states: usize,
    /// The property that was violated, and a shortest way there.
    pub(super) counterexample: Option<(Broken, Vec<Action>)>,
}

/// The graph so far. A state is identified by a hash of 64 bits: among a million states, the probability that two are taken for
/// one is one in 37 million.
#[derive(Default)]
struct Graph {
    known: HashMap<u64, u32>,
    /// How each state was reached first.
    from: Vec<Option<(u32, Action)>>,
    settled: Vec<u32>,
    /// Steps that are not faults, as (to, from).
    steps: Vec<(u32, u32)>,
    /// Still to be expanded, in the order of their numbers.
    left: VecDeque<State>,
}

/// Explores a world until a property is violated, or all states have been seen.
pub(super) fn check(world: &World) -> Checked {
    let mut graph = Graph::default();
    graph.add(State::start(world), None);
    let mut at = 0;
    while let Some(state) = graph.left.pop_front() {
        if let Some(broken) = state.broken() {
            return graph.checked(Some((broken, at)));
        }
        if state.is_settled() {
            graph.settled.push(at);
        }
        for (action, next) in Steps::of(&state, world) {
            let to = graph.add(next, Some((at, action)));
            if !action.is_fault() {
                graph.steps.push((to, at));
            }
        }
        at += 1;
    }
    let stuck = graph.stuck().map(|at| (Broken::Stuck, at));
    graph.checked(stuck)
}

impl Graph {
    fn add(&mut self, state: State, from: Option<(u32, Action)>) -> u32 {
        let mut hasher = DefaultHasher::new();
        state.hash(&mut hasher);
        let new = self.from.len() as u32;
        assert!(self.from.len() < MOST, "over {MOST} states: make the world smaller");
        let index = *self.known.entry(hasher.finish()).or_insert(new);
        if index == new {
            self.from.push(from);
            self.left.push_back(state);
        }
        index
    }

    fn checked(&self, broken: Option<(Broken, u32)>) -> Checked {
        let counterexample = broken.map(|(broken, at)| (broken, self.way_to(at)));
        Checked { states: self.from.len(), counterexample }
    }

    fn way_to(&self, mut at: u32) -> Vec<Action> {
        let mut way = Vec::new();
        while let Some((before, action)) = self.from[at as usize] {
            way.push(action);
            at = before;
        }
        way.reverse();
        way
    }

    /// The first state from which no settled one can be reached without further faults. If there is none, every fair schedule
    /// settles everything: the graph is finite, and a way out that is always open is taken at some time.
    fn stuck(&mut self) -> Option<u32> {
        self.steps.sort_unstable();
        let mut settles = vec![false; self.from.len()];
        let mut left = std::mem::take(&mut self.settled);
        while let Some(at) = left.pop() {
            if !std::mem::replace(&mut settles[at as usize], true) {
                let first = self.steps.partition_point(|(to, _)| *to < at);
                let into = self.steps[first..].iter().take_while(|(to, _)| *to == at);
                left.extend(into.map(|(_, before)| *before));
            }
        }
        settles.iter().position(|settles| !settles).map(|at| at as u32)
    }
}
