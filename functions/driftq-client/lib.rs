//! A client for [DriftQ](https://github.com/driftq-org/DriftQ-Core)'s HTTP API, version 1. It does not depend on what the
//! application does with messages. `docs/driftq-contract.md` has the behaviour that it relies on.
//!
//! ```text
//! address  where a broker listens
//! client   one method for each call; the only way to ack
//! stream   a consume call: late headers, then one line per message
//! ndjson   splits byte chunks into lines
//! wire     the JSON of requests, responses and lines
//! metrics  how many messages are in flight
//! limits   the limits that the broker reports
//! error    errors, named by meaning
//! ```
//!
//! Versions of DriftQ differ in limits, error texts and endpoints, and none is assumed. Rules for users of this client:
//!
//! * **A message leaves the queue only by [`Client::ack`] or [`Client::ack_through`], and both take a proof.** The
//!   application chooses its type: it is the type parameter of [`Client`], passed by value. There is no nack: DriftQ
//!   redelivers a nacked message within 10 ms and ignores the backoff. An unacked message comes back by itself.
//! * **A stream's acks end with it.** Messages received on a stream and not acked come back on the next one. So an
//!   [`AckToken`] ends with its [`Stream`], and acking it afterwards sends nothing. Give every stream its own owner name.
//! * **Ack in order, and not at once.** A commit is a high-water mark: within a partition an ack also covers every
//!   lower offset, whichever stream holds it. A dead predecessor's messages come back 2 s late, and messages sent
//!   to its open connection even later. The caller has to wait for them; [`Stream::opened_at`],
//!   [`Client::in_flight`], [`Client::limits`] and [`Client::ack_through`] help with that.
//! * **Repeat an ack without an answer** on the same stream, because its partition waits for it: a failed ack
//!   returns the token and the proof ([`Unacked`]).
//! * **An empty topic is silent.** Not even response headers arrive before the first message, so [`Stream::next`] has no
//!   timeout. It is cancel-safe: put it in a `select!` with a clock.
//! * **Empty topics vanish** when an older broker restarts. [`Error::TopicMissing`] means: create it, try again.
//! * **Repeating a produce creates a second message.** No idempotency key is sent: the broker remembers one for ten
//!   minutes only, and it slows the recovery of a dead consumer's messages.
//!
//! ```no_run
//! # async fn example(http: reqwest::Client) -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use driftq_client::{Client, Subscription};
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
//! # use driftq_client::{Client, Delivery, Unacked};
//! # struct Recorded;
//! # async fn example(broker: Client<Recorded>, delivery: Delivery) -> Result<(), Unacked<Recorded>> {
//! broker.ack(delivery.token, Duration::from_secs(1)).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Nor does it compile with anything else in the place of the proof:
//!
//! ```compile_fail,E0308
//! # use std::time::Duration;
//! # use driftq_client::{Client, Delivery, Unacked};
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

/// The example in `README.md`, compiled.
#[cfg(doctest)]
#[doc = include_str!("README.md")]
struct Readme;
