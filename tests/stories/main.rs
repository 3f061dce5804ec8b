//! Stories: end-to-end tests of the real binaries, run through the Lambda Runtime API, with a broker, a DynamoDB and a third party that keeps a
//! ledger of the calls that it received and applied. The assertions are about that ledger.
//!
//! Every story ends with `finish`, which fails if anything is left that is neither done nor parked.

#![allow(clippy::unwrap_used, reason = "a story that can't go on has failed")]

mod access;
mod api;
mod aws_calls;
mod backlog;
mod bounded;
mod broker_trouble;
mod brokers;
mod chains;
mod circles;
mod client_certificates;
mod contract;
mod crashes;
mod decisions;
mod drain;
mod exposed_credentials;
mod faketime;
mod floods;
mod forms;
mod front_ends;
mod gate;
mod guard;
mod isolation;
mod journal;
mod links;
mod look_up;
mod main_path;
mod moving;
mod newer_broker;
mod operators;
mod outlived;
mod pause;
mod printed;
mod private_addresses;
mod providers;
mod random_kills;
mod recent;
mod reconcile;
mod redrive;
mod release;
mod requests;
mod retries;
mod rows;
mod runs;
mod secrets;
mod setup;
mod shipped;
mod signed_calls;
mod signed_commands;
mod sns;
mod spans;
mod stays_due;
mod table_trouble;
mod telemetry;
mod template;
mod third_party_trouble;
mod unfit_requests;
mod unreachable;
mod vectors;
mod versions;
mod wake_up;
