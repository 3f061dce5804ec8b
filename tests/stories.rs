//! Stories: the real binaries, run through the Lambda Runtime API, against a broker, a DynamoDB and a third party that
//! keeps a ledger. What counts is that ledger: what was really called.
//!
//! Every story ends with `finish`, which fails if anything is left that is neither done nor parked.

#![allow(clippy::unwrap_used, reason = "a story that can't go on has failed")]

mod api;
mod broker_trouble;
mod contract;
mod crashes;
mod decisions;
mod doors;
mod drain;
mod every_door;
mod faketime;
mod forms;
mod guard;
mod house;
mod journal;
mod look_up;
mod main_path;
mod printed;
mod providers;
mod random_kills;
mod relay;
mod requests;
mod secrets;
mod sns;
mod table_trouble;
mod telemetry;
mod template;
mod third_party_trouble;
mod vectors;
