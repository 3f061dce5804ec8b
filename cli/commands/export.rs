//! `export`: prints all records of a period, one JSON object per line, for audits.

use std::{
    io::{self, BufWriter, IsTerminal as _, StdoutLock, Write as _},
    process::ExitCode,
};

use anyhow::Result;
use clap::Args as ClapArgs;
use driftq_webhooks::effects::{bulk::BulkRecord, listing::Listing, parked::MALFORMED_RUN, record::Record};
use jiff::Timestamp;
use serde::Serialize;

use crate::{deployment::Deployment, moment::Moment, output::counted, which::Which};

/// Records per page.
const PAGE: usize = 100;

/// The arguments of `export`.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    deployment: Deployment,
    #[command(flatten)]
    which: Which,
    /// Created at or after this time: a time, or how long ago.
    #[arg(long)]
    since: Moment,
    /// Created before this time; now by default.
    #[arg(long)]
    until: Option<Moment>,
    /// Also export the steps' input, which may contain personal data.
    #[arg(long)]
    input: bool,
}

const AFTER_HELP: &str = "\
One JSON object per line. `kind` is one of:
  effect   an effect, newest first, with its history: the outcome of each attempt, and each decision with its operator and reason
  message  a message that was not a command
  bulk     a decision about many effects, with its operator, reason and filter
Messages and bulk decisions follow the effects, and only if no filter is given.

It reads each effect of that period from the index `recent`: effects that are older than this index are not exported. The memory
that it uses does not depend on their number.

Examples:
  cargo webhooks export --stack driftq-webhooks --since 2026-10-01T00:00:00Z --until 2026-11-01T00:00:00Z > october.jsonl
  cargo webhooks export --table effects --since 24h --step charge_card --input | jq 'select(.status == \"parked\")'";

/// One line of the export.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
enum Line<'a> {
    Effect(&'a Record),
    Message(&'a Record),
    Bulk(&'a BulkRecord),
}

/// Exports the records.
pub(crate) async fn run(args: Args) -> Result<ExitCode> {
    let listing = args.deployment.table(None).await?.listing();
    let until = args.until.map_or_else(Timestamp::now, |until| until.0);
    let mut export = Export {
        listing: &listing,
        args: &args,
        until,
        out: BufWriter::new(io::stdout().lock()),
        written: 0,
    };
    match export.all().await {
        // The reader, such as `head`, may close the pipe early.
        Err(error) if is_broken_pipe(&error) => return Ok(ExitCode::SUCCESS),
        ended => ended?,
    }
    let written = export.written;
    eprintln!("{} exported", counted(written, "line"));
    Ok(ExitCode::SUCCESS)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

struct Export<'a> {
    listing: &'a Listing,
    args: &'a Args,
    until: Timestamp,
    out: BufWriter<StdoutLock<'static>>,
    written: usize,
}

impl Export<'_> {
    async fn all(&mut self) -> Result<()> {
        self.effects().await?;
        if self.args.which.is_all() {
            self.messages().await?;
            self.bulks().await?;
        }
        Ok(self.out.flush()?)
    }

    async fn effects(&mut self) -> Result<()> {
        let listing = self.listing;
        let mut recent = listing.recent(self.args.since.0, self.until);
        loop {
            let page = recent.page(PAGE).await?;
            if page.is_empty() {
                return Ok(());
            }
            for record in page.into_iter().filter(|record| self.args.which.fits(record)) {
                self.line(&Line::Effect(&self.shown(record)))?;
            }
            self.progress()?;
        }
    }

    /// Parked messages that are no commands. No index has them by time, so all are read.
    async fn messages(&mut self) -> Result<()> {
        let mut from = None;
        loop {
            let (page, next) = self.listing.run_page(MALFORMED_RUN, from).await?;
            for record in page {
                if self.is_of_that_time(record.created_at) {
                    self.line(&Line::Message(&self.shown(record)))?;
                }
            }
            from = next;
            if from.is_none() {
                return self.progress();
            }
        }
    }

    async fn bulks(&mut self) -> Result<()> {
        let mut from = None;
        loop {
            let (page, next) = self.listing.bulk_page(from).await?;
            for bulk in page {
                if self.is_of_that_time(bulk.created_at) {
                    self.line(&Line::Bulk(&bulk))?;
                }
            }
            from = next;
            if from.is_none() {
                return self.progress();
            }
        }
    }

    fn is_of_that_time(&self, time: Timestamp) -> bool {
        self.args.since.0 <= time && time < self.until
    }

    fn shown(&self, record: Record) -> Record {
        if self.args.input { record } else { record.without_input() }
    }

    fn line(&mut self, line: &Line<'_>) -> Result<()> {
        writeln!(self.out, "{}", serde_json::to_string(line)?)?;
        self.written += 1;
        Ok(())
    }

    fn progress(&mut self) -> Result<()> {
        self.out.flush()?;
        if io::stderr().is_terminal() && !io::stdout().is_terminal() {
            eprint!("\r  {} ", self.written);
        }
        Ok(())
    }
}
