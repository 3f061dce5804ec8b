//! The write-ahead log: nothing is sent before the records that it depends on are on disk.
//!
//! Every turn of the broker passes one [`Batch`] to a single writer thread: its records, and the deliveries and the response that may be sent once
//! these are synced. The writer takes all waiting batches, writes them at once, syncs once, and releases them in order. So many requests share
//! a sync under load (group commit), and no async worker ever waits for the disk.
//!
//! In a profile that flushes acks later, only commits are delayed: they are written once the first of them has waited that long, or when the
//! broker stops. A kill loses them.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::sync::{mpsc::UnboundedSender, oneshot};

use super::delivery::Delivery;
use super::profile::Profile;
use super::record::Record;
use super::replay::Foreign;

/// The output of one turn: records to write, and what waits for them.
pub(super) struct Batch {
    pub(super) records: Vec<Record>,
    pub(super) deliveries: Vec<(UnboundedSender<Delivery>, Delivery)>,
    /// Resolves once the records, and all before them, are on disk.
    pub(super) durable: oneshot::Sender<()>,
}

/// The sender to the log. When the last one is dropped, the writer ends and closes the file.
pub(super) type Appender = mpsc::Sender<Batch>;

/// The writer thread.
pub(super) struct Writer {
    thread: JoinHandle<()>,
    killed: Arc<AtomicBool>,
}

/// Reads a WAL from its first line to its last; a missing file counts as empty.
///
/// # Errors
/// A line that is not a record. A crash may truncate the last line of a WAL; then, like the real broker, this one refuses to start.
pub(super) fn read(path: &Path, mut each: impl FnMut(Record) -> Result<(), Foreign>) -> anyhow::Result<()> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("cannot read the WAL {}", path.display())),
    };
    for (number, line) in BufReader::new(file).split(b'\n').enumerate() {
        let line = line.with_context(|| format!("cannot read the WAL {}", path.display()))?;
        if line.is_empty() {
            continue;
        }
        let (path, number) = (path.display(), number + 1);
        let record = serde_json::from_slice(&line).with_context(|| {
            format!(
                "failed to replay WAL: {path}, line {number} is no record; remove the line if it is the last"
            )
        })?;
        each(record).with_context(|| {
            format!("failed to replay WAL: {path}, line {number} is of another generation's broker")
        })?;
    }
    Ok(())
}

/// Opens a WAL for appending and starts its writer.
pub(super) fn open(path: &Path, profile: &Profile) -> anyhow::Result<(Appender, Writer)> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    let file = file.with_context(|| format!("cannot open the WAL {}", path.display()))?;
    let killed = Arc::new(AtomicBool::new(false));
    let (appender, batches) = mpsc::channel();
    let thread = std::thread::Builder::new().name("broker-wal".into()).spawn({
        let killed = Arc::clone(&killed);
        let lines = Lines::new(profile.acks_flushed_within);
        move || write(file, lines, &batches, &killed)
    })?;
    Ok((appender, Writer { thread, killed }))
}

impl Writer {
    /// From now on nothing is written or released, as after SIGKILL.
    pub(super) fn kill(&self) {
        self.killed.store(true, Ordering::SeqCst);
    }

    /// Waits until the file is closed. All appenders must be dropped before.
    pub(super) fn join(self) {
        if self.thread.join().is_err() {
            eprintln!("broker: the WAL writer panicked");
        }
    }
}

fn write(mut file: File, mut lines: Lines, batches: &mpsc::Receiver<Batch>, killed: &AtomicBool) {
    while let Some(mut waiting) = next(batches, lines.acks_due) {
        waiting.extend(batches.try_iter());
        if killed.load(Ordering::SeqCst) {
            return bury(waiting, batches);
        }
        if let Err(error) = lines.of(&waiting).and_then(|lines| append(&mut file, lines)) {
            // Dropping the batches fails their requests: nothing is answered that is not on disk.
            eprintln!("broker: cannot write the WAL, nothing is accepted any more: {error}");
            return;
        }
        if killed.load(Ordering::SeqCst) {
            return bury(waiting, batches);
        }
        for batch in waiting {
            for (stream, delivery) in batch.deliveries {
                // The messages of a closed stream wait until their lease expires, as on the real broker.
                let _ = stream.send(delivery);
            }
            let _ = batch.durable.send(());
        }
    }
    if !killed.load(Ordering::SeqCst)
        && let Err(error) = append(&mut file, &lines.acks)
    {
        eprintln!("broker: cannot write the last acks: {error}");
    }
}

/// The next batches, or none once acks are due. `None` is the end: every appender is dropped.
fn next(batches: &mpsc::Receiver<Batch>, acks_due: Option<Instant>) -> Option<Vec<Batch>> {
    let Some(due) = acks_due else { return Some(vec![batches.recv().ok()?]) };
    match batches.recv_timeout(due.saturating_duration_since(Instant::now())) {
        Ok(batch) => Some(vec![batch]),
        Err(mpsc::RecvTimeoutError::Timeout) => Some(Vec::new()),
        Err(mpsc::RecvTimeoutError::Disconnected) => None,
    }
}

/// Keeps unreleased batches until nothing waits for them: dropping them sooner would fail their requests with a 500, and a killed broker sends
/// no response.
fn bury(mut waiting: Vec<Batch>, batches: &mpsc::Receiver<Batch>) {
    waiting.extend(batches.iter());
}

/// The lines to be written.
struct Lines {
    now: Vec<u8>,
    /// Delayed commits.
    acks: Vec<u8>,
    acks_due: Option<Instant>,
    acks_within: Option<Duration>,
}

impl Lines {
    fn new(acks_within: Option<Duration>) -> Self {
        Self { now: Vec::new(), acks: Vec::new(), acks_due: None, acks_within }
    }

    /// The lines to write before these batches may be released, and delayed lines that are due.
    fn of(&mut self, waiting: &[Batch]) -> std::io::Result<&[u8]> {
        self.now.clear();
        for record in waiting.iter().flat_map(|batch| &batch.records) {
            let lines = match (record, self.acks_within) {
                (Record::Commit { .. }, Some(within)) => {
                    self.acks_due.get_or_insert_with(|| Instant::now() + within);
                    &mut self.acks
                }
                _ => &mut self.now,
            };
            serde_json::to_writer(&mut *lines, record)?;
            lines.push(b'\n');
        }
        if self.acks_due.is_some_and(|due| due <= Instant::now()) {
            self.now.append(&mut self.acks);
            self.acks_due = None;
        }
        Ok(&self.now)
    }
}

fn append(file: &mut File, lines: &[u8]) -> std::io::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    file.write_all(lines)?;
    file.sync_data()
}
