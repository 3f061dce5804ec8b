//! A model of the protocol, and an exhaustive search of its states: one partition, two consumers, a broker, the effects table
//! and a third party, with every order of events and a bounded number of faults.
//!
//! | file | what it models |
//! |---|---|
//! | `guard` | `functions/effects/guard/`: claim, take-over, watch, commit, defer, park |
//! | `agenda` | `functions/effects/agenda.rs`, `functions/consumer/{agenda,work}.rs`: due records, deferral, hand-over |
//! | `attempt` | `functions/consumer/{attempt,doubt,look_up}.rs`, and the third party's ledger |
//! | `acks`, `ack_requests` | `functions/consumer/{ack_order,proof,acks}.rs`: which acks are sent, why they may be, and what they do |
//! | `consumer` | `functions/consumer/{run,reader,drain}.rs`, `functions/effects/stream_lease.rs`: an invocation and its stream |
//! | `broker` | the broker, as the contract suite in `tests/stories/contract` pins it down |
//! | `time` | leases, windows and clocks, in ticks |
//! | `faults` | crashes, restarts, lost answers, delays |
//! | `state`, `effect`, `message`, `action` | the state, and the steps between states |
//! | `properties` | what must never hold, and what must hold in the end |
//! | `joins` | `functions/effects/guard/advance.rs`: a step that comes after several; a model of its own |
//! | `rule`, `world` | the rules of the protocol; the parameters of one check |
//! | `checker` | the search |
//!
//! There are three sets of checks. `whole`: with all rules, every property holds. `removed`: without any one rule, the search
//! finds a violation. `limits`: what goes wrong outside the bounds that `docs/design.md` states. `docs/rules.md` maps each rule to
//! its check here and to the test of the code that fails without it; `table` holds that page to the tree.
//!
//! Not modelled: more than one partition, two consumers or three effects; several brokers; ingest (each check starts where it has
//! answered); lanes, destinations and wake-ups; operator decisions; input that contradicts a record. An ack and its answer are
//! one step, and so are a count and its answer.

mod ack_requests;
mod acks;
mod action;
mod agenda;
mod attempt;
mod broker;
mod checker;
mod consumer;
mod effect;
mod faults;
mod guard;
mod joins;
mod limits;
mod message;
mod properties;
mod removed;
mod rule;
mod state;
mod table;
mod time;
mod whole;
mod world;

use std::io::Write;

/// Prints a line that libtest does not capture, for the log of a CI run.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "model: {line}");
}
