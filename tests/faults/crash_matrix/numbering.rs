//! The numbering of a function's requests, and the one among them at which something is done.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use local::proxy::{Fault, Hits, Seen, Wire};

use super::boundary::{Boundary, EVERY_SO_OFTEN, On, what};

/// Numbers the requests of one function.
#[derive(Debug, Default)]
pub(super) struct Numbering(Mutex<Numbers>);

#[derive(Debug, Default)]
struct Numbers {
    at_work: bool,
    ended: bool,
    counts: BTreeMap<(On, &'static str), usize>,
    order: Vec<Boundary>,
}

impl Numbering {
    /// The function is invoked, or has answered: all wires but the runtime's are others' as well.
    pub(super) fn at_work(&self, at_work: bool) {
        self.numbers().at_work = at_work;
    }

    /// There is nothing more to number.
    pub(super) fn end(&self) {
        self.numbers().ended = true;
    }

    /// Numbers what passes a wire, and does this to one boundary's request.
    pub(super) fn watch(self: &Arc<Self>, wire: &Wire, on: On, strike: Option<&(Boundary, Fault)>) -> Hits {
        let numbering = self.clone();
        let target = strike.map(|(boundary, _)| *boundary);
        let fault = strike.map_or(Fault::Pass, |(_, fault)| fault.clone());
        wire.once(
            move |seen| numbering.number(on, seen).is_some_and(|boundary| Some(boundary) == target),
            fault,
        )
    }

    fn number(&self, on: On, seen: &Seen) -> Option<Boundary> {
        let mut numbers = self.numbers();
        // Its next request for work comes when it has answered, on a wire that is its own.
        if numbers.ended || !numbers.at_work && on != On::Runtime {
            return None;
        }
        let what = what(on, seen)?;
        let count = numbers.counts.entry((on, what)).or_default();
        *count += 1;
        let boundary = Boundary { on, what, nth: *count };
        if boundary.nth > 1 && EVERY_SO_OFTEN.contains(&what) {
            return None;
        }
        numbers.order.push(boundary);
        Some(boundary)
    }

    /// What there was, in the order it came, without the last `next`: it is open until another event comes.
    pub(super) fn boundaries(&self) -> Vec<Boundary> {
        let numbers = self.numbers();
        let responses = numbers.counts.get(&(On::Runtime, "response")).copied().unwrap_or_default();
        let open = |boundary: &Boundary| boundary.what == "next" && boundary.nth >= responses;
        numbers.order.iter().filter(|boundary| !open(boundary)).copied().collect()
    }

    fn numbers(&self) -> MutexGuard<'_, Numbers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
