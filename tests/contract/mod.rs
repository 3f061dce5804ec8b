//! The contract: what a real DriftQ was seen to do, asserted at the wire.
//!
//! Each test cites the recording that its fact was read off, as "transcript 05"; [`facts`] lists them all. They run
//! against the embedded broker, each on one of its own. With `DRIFTQ_HTTP_URL` they run against the broker that is
//! there: every test has topics of its own, so that it may be a shared one, and what kills the broker, or needs an
//! empty one, is skipped and says so. Where the two differ, the real one is right.
//!
//! The rules that take minutes, or luck, are asserted on the embedded broker's state machine, by a clock that is
//! passed in: `local/broker/tests`.

mod acks;
mod broker;
mod caps;
mod consume;
mod coverage;
mod dead_letters;
mod deadlines;
mod ends;
mod facts;
mod groups;
mod keys;
mod leases;
mod metrics;
mod nacks;
mod partitions;
mod produce;
mod restart;
mod routes;
mod stream;
mod topics;
mod wire;
