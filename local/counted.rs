//! What effects and runs cost in requests. `tests/requests.rs` counts each of these at the wire, and `cargo webhooks costs`
//! computes with them.

/// Writes to the table for a fresh effect: its claim and its commit.
pub const WRITES_PER_EFFECT: usize = 2;
/// Writes for a command that is a duplicate: one, which is refused and counts all the same.
pub const WRITES_PER_DUPLICATE: usize = 1;
/// More writes for each try that failed: deferred, and claimed again.
pub const WRITES_PER_RETRY: usize = 2;
/// Writes of the stream lease in a run, per broker: taken and released. A long run renews it as well.
pub const LEASE_WRITES_PER_RUN: usize = 2;
/// Writes of a run's record, at most: a run that did nothing and found nothing changed often leaves none.
pub const RECORD_WRITES_PER_RUN: usize = 1;
/// Reads in a run of whether it is paused; strongly consistent ones, so of a whole unit.
pub const PAUSE_READS_PER_RUN: usize = 1;
/// Queries of the agenda in a run, per step: at its start and at its end. Between them each step is looked at each second.
pub const QUERIES_PER_RUN_AND_STEP: usize = 2;
/// Reads of the agenda's lanes in a run; a long one reads them each ten seconds.
pub const LANE_READS_PER_RUN: usize = 1;
/// Queries once a minute for the gauges: what is due of each step, and what is parked, of all.
pub const GAUGE_QUERIES_OF_ALL_STEPS: usize = 1;

/// How many entries of an index it takes to write an item: into it, out of it, and both to move within it. An index that has
/// none of the attributes, before or after, costs nothing
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html>).
///
/// Of the index `recent`, for each effect: its record is put in, and never moves.
pub const RECENT_WRITES_PER_EFFECT: usize = 1;
/// Of the index `due`, for an effect whose call is known to take longer than `slow_call`: in at the claim, out at the commit.
pub const DUE_WRITES_PER_SLOW_CALL: usize = 2;

/// Bytes that both functions print for a webhook with one effect, at most. The access log's line and Lambda's own lines come
/// on top, here and below.
pub const LOG_BYTES_PER_WEBHOOK: usize = 2_200;
/// Bytes that the consumer prints for a run that finds nothing, at most.
pub const LOG_BYTES_PER_RUN: usize = 2_000;
/// Bytes that it prints once a minute about what waits, at most, beside those.
pub const LOG_BYTES_PER_LOOK: usize = 3_500;

/// Bytes of memory that the broker needs for each message of 700 bytes it has ever taken, as measured on G0.
pub const BROKER_BYTES_PER_MESSAGE: f64 = 2_700.0;
/// How full a broker may be, so that it can restart within its memory: where `MemoryAlarm` of `driftq.yaml` goes on.
pub const BROKER_FULL: f64 = 0.4;
