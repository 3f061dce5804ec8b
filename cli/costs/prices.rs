//! List prices of AWS in us-east-1, in USD, without free tiers, as known in June 2026. `docs/costs.md` names the pages.

const MILLION: f64 = 1e6;

/// A request of an HTTP API, of the first 300 million of a month.
pub(crate) const API_REQUEST: f64 = 1.0 / MILLION;
pub(crate) const LAMBDA_REQUEST: f64 = 0.20 / MILLION;
/// On arm64.
pub(crate) const LAMBDA_GB_SECOND: f64 = 0.000_013_333_4;
pub(crate) const WRITE_UNIT: f64 = 0.625 / MILLION;
pub(crate) const READ_UNIT: f64 = 0.125 / MILLION;
/// A GB-month of the table, with point-in-time recovery.
pub(crate) const TABLE_GB: f64 = 0.25 + 0.20;
/// A GB of ingested logs, and its storage for a month.
pub(crate) const LOG_GB: f64 = 0.50 + 0.03;
pub(crate) const METRIC: f64 = 0.30;
pub(crate) const ALARM: f64 = 0.10;
pub(crate) const DASHBOARD: f64 = 3.0;
pub(crate) const SCHEDULE: f64 = 1.0 / MILLION;
pub(crate) const SECRET: f64 = 0.40;
pub(crate) const SECRET_READ: f64 = 0.05 / 10_000.0;
pub(crate) const TRACE: f64 = 5.0 / MILLION;
/// A GB to the internet, of the first 10 TB of a month.
pub(crate) const EGRESS_GB: f64 = 0.09;
pub(crate) const NAT_HOUR: f64 = 0.045;
pub(crate) const NAT_GB: f64 = 0.045;
/// Each public IPv4 address, in use or not.
pub(crate) const IPV4_HOUR: f64 = 0.005;
/// Fargate on arm64.
pub(crate) const VCPU_HOUR: f64 = 0.032_38;
pub(crate) const FARGATE_GB_HOUR: f64 = 0.003_56;
/// A GB-month of EFS, and of its backup.
pub(crate) const FILE_GB: f64 = 0.30 + 0.05;
/// A GB written, with elastic throughput.
pub(crate) const FILE_WRITE_GB: f64 = 0.06;
/// A hosted zone, and an instance registered in it.
pub(crate) const PRIVATE_NAME: f64 = 0.50 + 0.10;
