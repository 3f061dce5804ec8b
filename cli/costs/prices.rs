//! List prices of AWS in us-east-1, in USD, without free tiers, as known in June 2026. `docs/costs.md` names the pages.

const MILLION: f64 = 1e6;

/// One request to an HTTP API, at the price for the first 300 million per month.
pub(crate) const API_REQUEST: f64 = 1.0 / MILLION;
pub(crate) const LAMBDA_REQUEST: f64 = 0.20 / MILLION;
/// On arm64.
pub(crate) const LAMBDA_GB_SECOND: f64 = 0.000_013_333_4;
pub(crate) const WRITE_UNIT: f64 = 0.625 / MILLION;
pub(crate) const READ_UNIT: f64 = 0.125 / MILLION;
/// One GB of the table per month, with point-in-time recovery.
pub(crate) const TABLE_GB: f64 = 0.25 + 0.20;
/// One GB of ingested logs, and its storage for one month.
pub(crate) const LOG_GB: f64 = 0.50 + 0.03;
pub(crate) const METRIC: f64 = 0.30;
pub(crate) const ALARM: f64 = 0.10;
pub(crate) const DASHBOARD: f64 = 3.0;
pub(crate) const SCHEDULE: f64 = 1.0 / MILLION;
pub(crate) const SECRET: f64 = 0.40;
pub(crate) const SECRET_READ: f64 = 0.05 / 10_000.0;
pub(crate) const TRACE: f64 = 5.0 / MILLION;
/// One GB sent to the internet, at the price for the first 10 TB per month.
pub(crate) const EGRESS_GB: f64 = 0.09;
pub(crate) const NAT_HOUR: f64 = 0.045;
pub(crate) const NAT_GB: f64 = 0.045;
/// One public IPv4 address, in use or not.
pub(crate) const IPV4_HOUR: f64 = 0.005;
/// Fargate on arm64.
pub(crate) const VCPU_HOUR: f64 = 0.032_38;
pub(crate) const FARGATE_GB_HOUR: f64 = 0.003_56;
/// One GB of EFS per month, with its backup.
pub(crate) const FILE_GB: f64 = 0.30 + 0.05;
/// One GB written, with elastic throughput.
pub(crate) const FILE_WRITE_GB: f64 = 0.06;
/// One hosted zone and one instance registered in it, per month.
pub(crate) const PRIVATE_NAME: f64 = 0.50 + 0.10;
