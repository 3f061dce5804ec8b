//! The write-ahead log: nothing leaves the broker before what it rests on is on disk.
//!
//! Every turn of the broker hands one [`Batch`] to a single writer thread: its records, and the deliveries and
//! the answer that may go out once these are synced. The writer takes all batches that wait, writes them in one
//! go, syncs once, and lets them out in order. Under load many requests thus share a sync (group commit),
//! and no async worker ever waits for the disk.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use anyhow::Context;
use tokio::sync::{mpsc::UnboundedSender, oneshot};

use super::delivery::Delivery;
use super::record::Record;

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
/// this one refuses to start (transcript 16).
pub(super) fn read(path: &Path, mut each: impl FnMut(Record)) -> anyhow::Result<()> {
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
        each(serde_json::from_slice(&line).with_context(|| {
            let (path, number) = (path.display(), number + 1);
            format!(
                "failed to replay WAL: {path}, line {number} is no record; remove the line if it is the last"
            )
        })?);
    }
    Ok(())
}

/// Opens a WAL for appending and starts its writer.
pub(super) fn open(path: &Path) -> anyhow::Result<(Appender, Writer)> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    let file = file.with_context(|| format!("cannot open the WAL {}", path.display()))?;
    let killed = Arc::new(AtomicBool::new(false));
    let (appender, batches) = mpsc::channel();
    let thread = std::thread::Builder::new().name("broker-wal".into()).spawn({
        let killed = Arc::clone(&killed);
        move || write(file, &batches, &killed)
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

fn write(mut file: File, batches: &mpsc::Receiver<Batch>, killed: &AtomicBool) {
    let mut lines = Vec::new();
    while let Ok(first) = batches.recv() {
        let mut waiting = vec![first];
        waiting.extend(batches.try_iter());
        if killed.load(Ordering::SeqCst) {
            return bury(waiting, batches);
        }
        if let Err(error) = write_lines(&mut file, &mut lines, &waiting) {
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
}

/// Keeps what was not let out until nobody waits for it any more: dropping it sooner would fail its requests,
/// and the dead do not answer, not even with a 500.
fn bury(mut waiting: Vec<Batch>, batches: &mpsc::Receiver<Batch>) {
    waiting.extend(batches.iter());
}

fn write_lines(file: &mut File, lines: &mut Vec<u8>, waiting: &[Batch]) -> std::io::Result<()> {
    lines.clear();
    for record in waiting.iter().flat_map(|batch| &batch.records) {
        serde_json::to_writer(&mut *lines, record)?;
        lines.push(b'\n');
    }
    if lines.is_empty() {
        return Ok(());
    }
    file.write_all(lines)?;
    file.sync_data()
}
