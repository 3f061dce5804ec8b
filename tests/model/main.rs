//! A model of the protocol, of which every state is looked at: what a consumer, its broker, the table and the third party
//! can come to, whatever fails and in whatever order.
//!
//! | here | what it models |
//! |---|---|
//! | `guard` | `functions/effects/guard/`: claim, take over, watch, commit, defer, park |
//! | `attempt` | `functions/consumer/{step,attempt,look_up}.rs`, and the third party's ledger |
//! | `acks` | `functions/consumer/{drain,ack_order}.rs`: which acks go |
//! | `consumer` | `functions/consumer/{mod,relay}.rs`, `effects/{due,stream_lease}.rs`, and how an invocation ends |
//! | `broker` | what the contract suite holds any broker to (`tests/contract`) |
//! | `time` | leases, windows and clocks, in ticks |
//! | `state`, `action` | what there is, and what can happen next |
//! | `properties` | what must never be, and what must come to be |
//! | `world` | the rules, and what may go wrong how often |
//! | `checker` | the search |
//!
//! Three sets of checks: `whole`, that the protocol holds; `removed`, that each rule is needed, since the model finds
//! what goes wrong without it; `clocks`, how far clocks may be apart, and what gives way beyond.
//!
//! What it leaves out: more than one partition, two consumers and two effects; ingest, whose outcome is where it starts;
//! input that contradicts the record; and the broker's answers other than those the transcripts have.

mod acks;
mod action;
mod agenda;
mod attempt;
mod broker;
mod checker;
mod clocks;
mod consumer;
mod effect;
mod faults;
mod guard;
mod message;
mod properties;
mod removed;
mod rule;
mod state;
mod time;
mod whole;
mod world;

use std::io::Write;

/// For whoever reads CI's output: libtest keeps what a passing test prints.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "model: {line}");
}
