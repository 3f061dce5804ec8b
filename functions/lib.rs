//! Webhooks in, exactly-once side effects out, on AWS Lambda, through DriftQ.
//!
//! The data path, one link per file:
//!
//! **Ingest**, one request
//! 1. [`ingest::event`] reads what Lambda hands over, and [`webhook_verify`] verifies the raw bytes, in constant time;
//! 2. [`ingest::request`] turns `UnverifiedWebhook` into `VerifiedWebhook`, and finds the run id;
//! 3. [`ingest::route`] makes one [`command`] for each step that wants the event;
//! 4. [`ingest::outbox`] makes each durable: in the [topic](topics) at the broker of its business key, else in the [`effects`]
//!    table, due at once;
//! 5. [`ingest::wake`] wakes the consumer meanwhile;
//! 6. [`ingest::reply`] answers 2xx only when all are durable.
//!
//! **Consumer**, one invocation
//! 1. `consumer::run` works on all brokers and the agenda side by side, until they are quiet or time is up;
//! 2. messages: [`effects::stream_lease`] makes sure that one consumer at a time reads a broker, and `consumer::drain` receives
//!    from the [`driftq_client`];
//! 3. what is due: `consumer::agenda` reads the [agenda](effects::agenda) in the effects table, one lane per step;
//! 4. `consumer::destinations` says whether the third party is called now;
//! 5. `consumer::work` takes a message or a due effect to its end:
//!    [claim](effects::guard) ▶ [call](consumer::call) ▶ [outcome] ▶ commit, defer or park;
//! 6. [`consumer::ack_order`] says which messages may be acked: those with a [`effects::Settled`], in order, and only when it is
//!    proven that nothing lower is in flight elsewhere.
//!
//! **Reconciliation**, beside both: [`reconcile`] asks a provider for what did not arrive, within a consumer's invocation
//! (`consumer::reconcile`); [`effects::reconciliation`] says how far that has come.
//!
//! [`config`] has what a user edits, and [`config::environment`] what differs between deployments.
//! [`telemetry`] prints logs and metrics; a [`trace`] goes through all of it.

pub mod clients;
pub mod command;
pub mod command_keys;
pub mod config;
pub mod consumer;
pub mod effect_id;
pub mod effects;
pub mod ingest;
pub mod outcome;
mod pace;
mod random;
pub mod reconcile;
pub mod secrets;
pub mod telemetry;
pub mod third_parties;
pub mod topic;
pub mod topics;
pub mod trace;
