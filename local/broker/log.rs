//! The write-ahead log: nothing leaves the broker before what it rests on is on disk.
//!
//! Every turn of the broker hands one [`Batch`] to a single writer thread: its records, and the deliveries and
//! the answer that may go out once these are synced. The writer takes all batches that wait, writes them in one
//! go, syncs once, and lets them out in order. Under load many requests thus share a sync (group commit),
//! and no async worker ever waits for the disk.
//!
//! In a profile that flushes acks later, commits alone are held back: they are written once the first of them has waited
//! that long, or when the broker stops. A kill loses them.

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

/// What one turn leaves to be written, and what waits for it.
pub(super) struct Batch {
    pub(super) records: Vec<Record>,
    pub(super) deliveries: Vec<(UnboundedSender<Delivery>, Delivery)>,
    /// Resolves once the records, and all before them, are on disk.
    pub(super) durable: oneshot::Sender<()>,
}

/// The way into the log. When the last one is dropped, the writer ends and closes the file.
pub(super) type Appender = mpsc::Sender<Batch>;

/// The writer thread.
pub(super) struct Writer {
    thread: JoinHandle<()>,
    killed: Arc<AtomicBool>,
}

/// Reads a WAL, from its first line to its last; a missing file is an empty one.
///
/// # Errors
/// A line that is no record. The last line of a WAL may be torn by a crash, and then, like the real broker,
/// this one refuses to start.
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
    /// From now on nothing is written and nothing let out, as after SIGKILL.
    pub(super) fn kill(&self) {
        self.killed.store(true, Ordering::SeqCst);
    }

    /// Waits until the file is closed. All appenders must be gone, or this waits for ever.
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
                // A closed stream's messages are lost until their lease ends, as on the real broker.
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

/// The next batch, or none of them once acks are due. `None` is the end: every appender is gone.
fn next(batches: &mpsc::Receiver<Batch>, acks_due: Option<Instant>) -> Option<Vec<Batch>> {
    let Some(due) = acks_due else { return Some(vec![batches.recv().ok()?]) };
    match batches.recv_timeout(due.saturating_duration_since(Instant::now())) {
        Ok(batch) => Some(vec![batch]),
        Err(mpsc::RecvTimeoutError::Timeout) => Some(Vec::new()),
        Err(mpsc::RecvTimeoutError::Disconnected) => None,
    }
}

/// Keeps what was not let out until nobody waits for it any more: dropping it sooner would fail its requests,
/// and the dead do not answer, not even with a 500.
fn bury(mut waiting: Vec<Batch>, batches: &mpsc::Receiver<Batch>) {
    waiting.extend(batches.iter());
}

/// The lines to be written.
struct Lines {
    now: Vec<u8>,
    /// Commits that are held back.
    acks: Vec<u8>,
    acks_due: Option<Instant>,
    acks_within: Option<Duration>,
}

impl Lines {
    fn new(acks_within: Option<Duration>) -> Self {
        Self { now: Vec::new(), acks: Vec::new(), acks_due: None, acks_within }
    }

    /// What is to be written before these batches may be let out, and whatever else is due.
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
