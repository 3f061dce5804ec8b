//! The functions' environment, on this machine. It uses the functions only from outside: as binaries that poll the Lambda Runtime API, over HTTP,
//! and by their environment variables. So it is an independent oracle: it shares no code, and so no mistakes, with them.
//!
//! ```text
//! webhook ─▶ gateway ─▶ runtime_api ─▶ ingest ──▶ proxy ─▶ broker
//!                                        └─────▶ proxy ─▶ dynamodb
//!                                        └─────▶ proxy ─▶ lambda_api ─┐
//! tick ────────────────▶ runtime_api ─▶ consumer ◀────────────────────┘
//!                                        └─────▶ the same two, and the third_party with its ledger
//! ```
//!
//! Start at [`stack`], which combines all parts. Faults are injected at [`proxy`] (between the functions and their stores), at [`third_party`], at
//! [`provider_api`], and at [`runtime_api`] (SIGKILL).

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
