//! Webhooks in, exactly-once side effects out, on AWS Lambda, through DriftQ.
//!
//! The data path, one link a file:
//!
//! **Ingest**, one request
//! 1. [`ingest::event`] reads what Lambda hands over, and [`ingest::signature`] verifies the raw bytes, in constant time;
//! 2. [`ingest::request`] turns `Unverified` into `Verified`, and finds the run id;
//! 3. [`ingest::route`] makes one [`command`] for each step that wants the event;
//! 4. [`ingest::outbox`] makes each durable: in the [topic](topics) of its business key, else in the [`effects`] table, due at once;
//! 5. [`ingest::wake`] invokes the consumer meanwhile;
//! 6. [`ingest::reply`] answers 2xx only when all are durable.
//!
//! **Consumer**, one invocation
//! 1. [`effects::stream_lease`] makes sure that nobody else drains;
//! 2. `consumer::relay` publishes what is [due](effects::due);
//! 3. `consumer::drain` receives from the [`broker`];
//! 4. [`consumer::step`] takes one message to its end:
//!    [claim](effects::guard) ▶ [call](consumer::call) ▶ [outcome](consumer::outcome) ▶ commit, defer or park;
//! 5. [`consumer::ack_order`] says which acks may go: in order, and only with a [`effects::Settled`].
//!
//! What a user edits is in [`config`]; what differs between deployments in [`config::environment`]; what is printed in
//! [`telemetry`], with the [`trace`] that goes through all of it.

pub mod broker;
pub mod clients;
pub mod command;
pub mod config;
pub mod consumer;
pub mod effect_id;
pub mod effects;
pub mod ingest;
pub mod secrets;
pub mod telemetry;
pub mod topic;
pub mod topics;
pub mod trace;
