//! A client for [DriftQ](https://github.com/driftq-org/DriftQ-Core)'s HTTP API, version 1. It knows the broker and
//! nothing of what is done with its messages.
//!
//! ```text
//! address  where a broker listens
//! client   one method for each call; the only way to ack
//! stream   a consume call: headers late, lines one by one
//! ndjson   byte chunks to lines
//! wire     what stands in a request, a response, a line
//! metrics  how many messages are in flight
//! limits   what the broker says of its limits
//! error    what went wrong, by meaning
//! ```
//!
//! Versions of DriftQ differ in limits, texts and calls, and none is assumed. The rules for whoever uses it:
//!
//! * **A message leaves the queue only by [`Client::ack`] or [`Client::ack_through`], and that takes a proof.** What counts
//!   as one is up to the application: it is the type parameter of [`Client`], passed by value. There is no nack: it
//!   redelivers within 10 ms whatever the backoff, and an unacked message comes back by itself.
//! * **A stream's acks end with it.** Whatever was received on a stream and not acked comes back on the next one, so an
//!   [`AckToken`] ends with its [`Stream`] and acking it then sends nothing. Give every stream an owner name of its own.
//! * **Ack in order, and not at once.** A commit is a high-water mark, so within a partition an ack also covers every
//!   lower offset, whichever stream holds it: what a dead predecessor left comes back 2 s late, and what the broker deals
//!   to a dead one's open stream, later still. Keeping to that is up to the caller; [`Stream::opened_at`],
//!   [`Client::in_flight`], [`Client::limits`] and [`Client::ack_through`] are there for it.
//! * **An ack without an answer is sent again** on the same stream, for a partition goes on only after it: a failed ack
//!   gives back what it takes ([`Unacked`]).
//! * **An empty topic is silent.** Not even response headers arrive before the first message, so [`Stream::next`] has no
//!   timeout. It is cancel-safe: put it in a `select!` with a clock.
//! * **Topics vanish** when a broker restarts and they are empty. [`Error::TopicMissing`] means: create, try again.
//! * **Producing again is safe for the broker and a second message for the consumer.** No idempotency key is sent: the
//!   broker's is remembered for ten minutes, and slows the recovery of a dead consumer's messages.
//!
//! ```no_run
//! # async fn example(http: reqwest::Client) -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use driftq_webhooks::broker::{Client, Subscription};
//!
//! /// Made only where a message's work is recorded.
//! struct Recorded;
//!
//! let broker = Client::<Recorded>::new(http, "http://127.0.0.1:8080".parse()?, None)?;
//! let mut stream = broker.consume(Subscription {
//!     topic: "jobs".to_owned(),
//!     group: "workers".to_owned(),
//!     owner: "worker-7f3a".to_owned(),
//!     lease: Duration::from_secs(30),
//! });
//! while let Some(delivery) = stream.next().await? {
//!     println!("{}", delivery.value);
//!     broker.ack(delivery.token, Recorded, Duration::from_secs(1)).await.map_err(|failed| failed.error)?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Without the proof it does not compile:
//!
//! ```compile_fail,E0061
//! # use std::time::Duration;
//! # use driftq_webhooks::broker::{Client, Delivery, Unacked};
//! # struct Recorded;
//! # async fn example(broker: Client<Recorded>, delivery: Delivery) -> Result<(), Unacked<Recorded>> {
//! broker.ack(delivery.token, Duration::from_secs(1)).await?;
//! # Ok(())
//! # }
//! ```
//!
//! nor with anything else in its place:
//!
//! ```compile_fail,E0308
//! # use std::time::Duration;
//! # use driftq_webhooks::broker::{Client, Delivery, Unacked};
//! # struct Recorded;
//! # async fn example(broker: Client<Recorded>, delivery: Delivery) -> Result<(), Unacked<Recorded>> {
//! broker.ack(delivery.token, (), Duration::from_secs(1)).await?;
//! # Ok(())
//! # }
//! ```

mod address;
mod client;
mod error;
mod limits;
mod metrics;
mod ndjson;
mod stream;
#[cfg(test)]
mod tests;
mod wire;

pub use self::{
    address::Address,
    client::{Acked, Client, MAX_VALUE, Produce, Unacked},
    error::{Error, Invalid},
    limits::Limits,
    stream::{AckToken, Delivery, Stream, Subscription},
};
