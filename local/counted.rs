//! The requests per effect and run. `tests/stories/requests.rs` counts each of these over HTTP, and `cargo webhooks costs` computes with them.

/// Writes to the table per fresh effect: its claim and its commit.
pub const WRITES_PER_EFFECT: usize = 2;
/// Writes per duplicate command: one, which is refused but counts.
pub const WRITES_PER_DUPLICATE: usize = 1;
/// Additional writes per failed try: deferred, and claimed again.
pub const WRITES_PER_RETRY: usize = 2;
/// Writes for the stream lease per run and broker: taken and released. A long run renews it as well.
pub const LEASE_WRITES_PER_RUN: usize = 2;
/// Maximum writes of a run's record: a run that did nothing and found nothing changed often writes none.
pub const RECORD_WRITES_PER_RUN: usize = 1;
/// Reads per run of the pause record; strongly consistent, so a whole unit.
pub const PAUSE_READS_PER_RUN: usize = 1;
/// Queries of the agenda per run and step: at its start and at its end. In between, each step is queried every second.
pub const QUERIES_PER_RUN_AND_STEP: usize = 2;
/// Reads of the agenda's lanes per run; a long run reads them every ten seconds.
pub const LANE_READS_PER_RUN: usize = 1;
/// Queries per minute for the gauges, for all steps together: due records of each step, and parked records.
pub const GAUGE_QUERIES_OF_ALL_STEPS: usize = 1;

/// Writes to an index per item write: one to add, one to remove, and both to move an entry. An index of which the item has no attributes, before
/// or after, costs nothing
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html>).
///
/// For the index `recent`, per effect: its record is added, and never moves.
pub const RECENT_WRITES_PER_EFFECT: usize = 1;
/// For the index `due`, per effect whose call is known to take longer than `slow_call`: added at the claim, removed at the commit.
pub const DUE_WRITES_PER_SLOW_CALL: usize = 2;

/// Maximum bytes that both functions print per webhook with one effect. The lines of the access log and of Lambda itself are additional, here and
/// below.
pub const LOG_BYTES_PER_WEBHOOK: usize = 2_200;
/// Maximum bytes that the consumer prints per run that finds nothing.
pub const LOG_BYTES_PER_RUN: usize = 2_000;
/// Maximum additional bytes that it prints per minute about waiting records.
pub const LOG_BYTES_PER_LOOK: usize = 3_500;

/// Broker memory per message of 700 bytes that it has ever received, in bytes, as measured on G0.
pub const BROKER_BYTES_PER_MESSAGE: f64 = 2_700.0;
/// The maximum memory use, as a fraction, with which a broker can restart: the threshold of `MemoryAlarm` in `driftq.yaml`.
pub const BROKER_FULL: f64 = 0.4;
