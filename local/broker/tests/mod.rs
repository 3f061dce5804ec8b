//! Tests of the state machine with a simulated clock: rules that would take minutes over HTTP, or depend on chance.
//!
//! The contract suite, `tests/stories/contract` of the root package, tests the behaviour over HTTP.

mod caps;
mod clock;
mod dead_letters;
mod groups;
mod idempotency;
mod leases;
mod newer;
