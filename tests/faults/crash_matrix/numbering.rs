//! Numbers a function's requests, and injects a fault at one of them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use local::proxy::{Fault, FaultProxy, Hits, Seen};

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
    /// Sets whether the function is being invoked. Requests at other times are not its own, except those to the
    /// Runtime API.
    pub(super) fn at_work(&self, at_work: bool) {
        self.numbers().at_work = at_work;
    }

    /// Ends the numbering.
    pub(super) fn end(&self) {
        self.numbers().ended = true;
    }

    /// Numbers the requests through a fault proxy, and injects a fault at one boundary.
    pub(super) fn watch(
        self: &Arc<Self>,
        proxy: &FaultProxy,
        on: On,
        strike: Option<&(Boundary, Fault)>,
    ) -> Hits {
        let numbering = self.clone();
        let target = strike.map(|(boundary, _)| *boundary);
        let fault = strike.map_or(Fault::Pass, |(_, fault)| fault.clone());
        proxy.once(
            move |seen| numbering.number(on, seen).is_some_and(|boundary| Some(boundary) == target),
            fault,
        )
    }

    fn number(&self, on: On, seen: &Seen) -> Option<Boundary> {
        let mut numbers = self.numbers();
        // Its next poll comes after its response, through its own fault proxy.
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

    /// The boundaries so far, in order, without the last `next`: that one is open until another event arrives.
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
