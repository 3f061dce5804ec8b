//! Everything around the functions, on this machine. It knows them only from outside: as binaries that poll the Lambda
//! Runtime API, by HTTP and by their environment. That makes it an oracle: nothing here can share a mistake with them.
//!
//! ```text
//! webhook ─▶ gateway ─▶ runtime_api ─▶ ingest ──▶ proxy ─▶ broker
//!                                        └─────▶ proxy ─▶ dynamodb
//!                                        └─────▶ proxy ─▶ lambda_api ─┐
//! tick ────────────────▶ runtime_api ─▶ consumer ◀────────────────────┘
//!                                        └─────▶ the same two, and the third_party with its ledger
//! ```
//!
//! Start at [`stack`], which puts it all together. Faults go in at [`proxy`] (what lies between the functions and their
//! stores), at [`third_party`], at [`provider_api`], and at [`runtime_api`] (SIGKILL).

pub mod broker;
pub mod collector;
pub mod command;
pub mod config;
pub mod counted;
pub mod dynamodb;
pub mod emf;
pub mod functions;
pub mod gateway;
pub mod generation;
pub mod hook;
pub mod http;
pub mod lambda_api;
pub mod provider_api;
pub mod proxy;
pub mod runtime_api;
pub mod secrets_manager;
pub mod server;
pub mod sign;
pub mod sns;
pub mod stack;
pub mod third_party;
pub mod webhook;
