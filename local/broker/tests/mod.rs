//! What the broker promises to be: the rules by a clock that is passed in, the rest over the wire.

mod by_the_clock;
mod client;
mod idempotency;
mod restart;
mod wire;
