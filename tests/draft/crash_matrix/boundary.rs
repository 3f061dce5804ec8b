//! The boundaries: every request that a function makes on its four wires, by what it is for, and the n-th of its kind.
//! What runs side by side may change places from one run to the next; the n-th of its kind is the same in all of them.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use local::{
    hook::Hook,
    proxy::{Fault, Hits, Seen, Wire},
};

/// A wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum On {
    Runtime,
    Table,
    Broker,
    ThirdParty,
}

/// One request of a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Boundary {
    pub(crate) on: On,
    pub(crate) what: &'static str,
    /// From 1.
    pub(crate) nth: usize,
}

impl fmt::Display for Boundary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wire = match self.on {
            On::Runtime => "runtime",
            On::Table => "table",
            On::Broker => "broker",
            On::ThirdParty => "third party",
        };
        write!(f, "{wire:<12}{} {}", self.what, self.nth)
    }
}

/// When the process dies at a boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Moment {
    /// The request has been sent, and nobody has processed it.
    Before,
    /// It has been processed, and the answer is never sent.
    Unanswered,
    /// The answer has gone out.
    Answered,
}

impl Moment {
    pub(crate) const ALL: [Self; 3] = [Self::Before, Self::Unanswered, Self::Answered];

    pub(crate) fn fault(self, kill: Hook) -> Fault {
        match self {
            Self::Before => Fault::HookInstead(kill),
            Self::Unanswered => Fault::HookAfter(kill),
            Self::Answered => Fault::HookOnceAnswered(kill),
        }
    }
}

/// What a request is for. None: how many there are of its kind depends on how long things take.
fn what(on: On, seen: &Seen) -> Option<&'static str> {
    match on {
        On::Runtime => seen.path.rsplit_once('/').and_then(|(_, last)| match last {
            "next" => Some("next"),
            "response" => Some("response"),
            _ => None,
        }),
        On::Broker => match seen.path.as_str() {
            "/v1/produce" => Some("produce"),
            "/v1/topics" => Some("create topic"),
            "/v1/consume" => Some("consume"),
            "/v1/ack" => Some("ack"),
            _ => None,
        },
        On::ThirdParty => Some(if seen.method == "GET" { "look-up" } else { "call" }),
        On::Table => what_of_table(seen),
    }
}

fn what_of_table(seen: &Seen) -> Option<&'static str> {
    let request = seen.json();
    let value = |name: &str| &request["ExpressionAttributeValues"][name];
    let update = request["UpdateExpression"].as_str().unwrap_or_default();
    match seen.operation.as_str() {
        "Query" => Some("agenda"),
        "PutItem" if request["Item"]["status"]["S"] == "pending" => Some("pend"),
        "PutItem" => Some("claim"),
        "UpdateItem" if request["Key"]["run_id"]["S"] == ":stream" => {
            if update.contains("#owner") {
                Some("take stream")
            } else {
                // Otherwise it is renewed, which happens every so often.
                (value(":lease_until")["N"] == "0").then_some("release stream")
            }
        }
        "UpdateItem" => Some(match value(":status")["S"].as_str() {
            Some("in_progress") if update.contains("#doubt = ") => "take over",
            Some("in_progress") => "claim again",
            Some("done") => "commit",
            Some("waiting") => "defer",
            Some("parked") => "park",
            _ if update.contains("#command") => "watch",
            _ => "relayed",
        }),
        _ => None,
    }
}

/// Numbers the requests of one function.
#[derive(Debug, Default)]
pub(crate) struct Numbering(Mutex<Numbers>);

#[derive(Debug, Default)]
struct Numbers {
    at_work: bool,
    counts: BTreeMap<(On, &'static str), usize>,
    order: Vec<Boundary>,
}

impl Numbering {
    /// The function is invoked, or has answered: the wires to both stores are the other function's as well.
    pub(crate) fn at_work(&self, at_work: bool) {
        self.numbers().at_work = at_work;
    }

    /// Numbers what passes a wire, and does this to one boundary's request.
    pub(crate) fn watch(self: &Arc<Self>, wire: &Wire, on: On, strike: Option<&(Boundary, Fault)>) -> Hits {
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
        if !numbers.at_work && matches!(on, On::Table | On::Broker) {
            return None;
        }
        let what = what(on, seen)?;
        let count = numbers.counts.entry((on, what)).or_default();
        *count += 1;
        let boundary = Boundary { on, what, nth: *count };
        numbers.order.push(boundary);
        Some(boundary)
    }

    /// What there was, in the order it came, without the last `next`: it is open until another event comes.
    pub(crate) fn boundaries(&self) -> Vec<Boundary> {
        let numbers = self.numbers();
        let responses = numbers.counts.get(&(On::Runtime, "response")).copied().unwrap_or_default();
        let open = |boundary: &Boundary| boundary.what == "next" && boundary.nth >= responses;
        numbers.order.iter().filter(|boundary| !open(boundary)).copied().collect()
    }

    fn numbers(&self) -> MutexGuard<'_, Numbers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
