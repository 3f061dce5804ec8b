//! The output of the processes: kept for the messages of failed tests, and streamed to the pretty printer.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    sync::broadcast,
    task::JoinHandle,
};

/// How many lines are kept.
const KEPT: usize = 4000;

/// A line that a function printed.
#[derive(Debug, Clone)]
pub struct Line {
    /// The function's name.
    pub function: Arc<str>,
    /// Without its end.
    pub text: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.function, self.text)
    }
}

/// Everything that a function's processes printed lately.
#[derive(Debug, Clone)]
pub struct Log {
    function: Arc<str>,
    kept: Arc<Mutex<VecDeque<Line>>>,
    live: broadcast::Sender<Line>,
}

impl Log {
    pub(super) fn new(function: &str) -> Self {
        Self { function: function.into(), kept: Arc::default(), live: broadcast::channel(1024).0 }
    }

    /// The lines that are still kept, oldest first.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Waits until the lines satisfy a condition: a process may respond before all its output has arrived here.
    ///
    /// # Errors
    /// They do not, within that time.
    pub async fn until(&self, within: Duration, wanted: impl Fn(&[Line]) -> bool) -> Result<Vec<Line>> {
        let mut live = self.follow();
        let reached = async {
            loop {
                let lines = self.lines();
                if wanted(&lines) {
                    return lines;
                }
                // Err: lines arrived faster than they were read. They are kept anyway.
                let _ = live.recv().await;
            }
        };
        let reached = tokio::time::timeout(within, reached).await;
        reached.with_context(|| format!("not the lines that were wanted:\n{}", self.tail(KEPT)))
    }

    /// The last lines as one text.
    #[must_use]
    pub fn tail(&self, count: usize) -> String {
        let lines = self.lines();
        let last = lines.iter().skip(lines.len().saturating_sub(count));
        last.map(|line| format!("  {line}\n")).collect()
    }

    /// The lines from now on.
    #[must_use]
    pub fn follow(&self) -> broadcast::Receiver<Line> {
        self.live.subscribe()
    }

    /// Reads an output until it is closed.
    pub(super) fn read(&self, output: impl AsyncRead + Unpin + Send + 'static) -> JoinHandle<()> {
        let log = self.clone();
        tokio::spawn(async move {
            let mut output = BufReader::new(output);
            let mut line = Vec::new();
            while output.read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
                log.add(String::from_utf8_lossy(line.trim_ascii_end()).into_owned());
                line.clear();
            }
        })
    }

    fn add(&self, text: String) {
        let line = Line { function: self.function.clone(), text };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(line.clone());
        // Err: there are no subscribers.
        let _ = self.live.send(line);
    }
}
