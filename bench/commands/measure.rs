//! `measure`: start-up, memory and size of the release binaries.

use std::{
    fs::{self, File},
    io,
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result};
use clap::Args as ClapArgs;
use flate2::{Compression, write::GzEncoder};
use local::{functions::Functions, runtime_api::Function, stack::Stack, webhook::Webhook};

/// What `measure` takes.
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// How often each function is started.
    #[arg(long, default_value_t = 21)]
    starts: usize,
}

/// Builds, measures, prints.
pub(crate) async fn run(args: Args) -> Result<()> {
    let functions = match std::env::var_os("FUNCTIONS_DIR").filter(|dir| !dir.is_empty()) {
        Some(dir) => Functions::in_dir(Path::new(&dir))?,
        None => Functions::build(true).await?,
    };
    let stack = Stack::builder().functions(functions.clone()).start().await?;
    let ingest_started = starts(&stack.ingest, args.starts).await?;
    let consumer_started = starts(&stack.consumer, args.starts).await?;
    stack.deliver(&Webhook::sample("stripe.charge.dispute.created")?).await?;
    stack.run_consumer().await?;

    println!(
        "from spawn to the first GET .../invocation/next, over {} starts; memory after the first invocation;",
        args.starts
    );
    println!("size, and size by deflate as a zip has it (its own headers are a few hundred bytes more)\n");
    println!(
        "{:<10} {:>9} {:>9} {:>9} {:>11} {:>11} {:>11}",
        "", "fastest", "median", "slowest", "RSS", "binary", "zipped"
    );
    for (function, binary, started) in [
        (&stack.ingest, &functions.ingest, ingest_started),
        (&stack.consumer, &functions.consumer, consumer_started),
    ] {
        let ms = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1e3);
        println!(
            "{:<10} {:>6.1} ms {:>6.1} ms {:>6.1} ms {:>7.1} MiB {:>7.2} MiB {:>7.2} MiB",
            function.name(),
            ms(started.first()),
            ms(started.get(started.len() / 2)),
            ms(started.last()),
            mib(memory(function, "VmRSS:")?),
            mib(fs::metadata(binary)?.len()),
            mib(deflated(binary)?),
        );
    }
    stack.finish().await
}

/// Cold starts, fastest first.
async fn starts(function: &Function, count: usize) -> Result<Vec<Duration>> {
    let before = function.starts().len();
    for _ in 0..count.max(1) {
        function.recycle();
        function.warm().await?;
    }
    let mut starts = function.starts().split_off(before);
    starts.sort_unstable();
    Ok(starts)
}

/// The memory of the function's largest process in bytes, as Linux reports it: at present (`VmRSS:`), or the maximum so
/// far (`VmHWM:`).
pub(super) fn memory(function: &Function, field: &str) -> Result<u64> {
    let mut most = None;
    for pid in function.pids() {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))
            .context("memory can be measured on Linux only")?;
        let line = status.lines().find_map(|line| line.strip_prefix(field)).context("no such field")?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
        most = most.max(Some(kib << 10));
    }
    most.context("no process")
}

/// The CPU time that the function's processes have used so far.
pub(super) fn cpu_time(function: &Function) -> Result<Duration> {
    let mut ticks = 0;
    for pid in function.pids() {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("on Linux only")?;
        // After the name, which may contain anything: utime and stime, in ticks of 10 ms.
        let (_, fields) = stat.rsplit_once(')').context("no name")?;
        for field in fields.split_whitespace().skip(11).take(2) {
            ticks += field.parse::<u64>()?;
        }
    }
    Ok(Duration::from_millis(ticks * 10))
}

/// The binary's size in a zip, without the zip's own headers.
pub(super) fn deflated(binary: &Path) -> Result<u64> {
    let mut encoder = GzEncoder::new(Counter(0), Compression::best());
    io::copy(&mut File::open(binary)?, &mut encoder)?;
    Ok(encoder.finish()?.0)
}

/// Counts the bytes that are written to it.
struct Counter(u64);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) fn mib(bytes: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "for people to read")]
    let bytes = bytes as f64;
    bytes / 1_048_576.0
}
