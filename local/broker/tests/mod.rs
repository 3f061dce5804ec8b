//! The state machine, by a clock that is passed in: what would take minutes at the wire, or luck.
//!
//! What it looks like from outside is the contract suite's, `tests/contract` of the root package.

mod caps;
mod clock;
mod dead_letters;
mod groups;
mod idempotency;
mod leases;
mod newer;
