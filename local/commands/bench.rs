//! `bench`: everything that costs time, beside what bounds it, in one run.
//!
//! [`site`] a stack to measure, and how a plain client does the same work · [`recorded`] what the functions send, to be sent
//! again · one subject a file: [`startup`], [`ingest`], [`drain`], [`storm`], [`requests`], [`growth`] · [`report`] the table.

mod drain;
mod growth;
mod ingest;
mod plain;
mod recorded;
mod report;
mod requests;
mod site;
mod startup;
mod storm;

use std::fs;

use anyhow::Result;
use clap::Args as ClapArgs;
use local::functions::{Bare, Functions};

use self::{
    report::{Report, Target},
    site::Site,
};
use super::measure::{deflated, memory, mib};

/// What `bench` takes.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// How often each function is started.
    #[arg(long, default_value_t = 21, value_parser = clap::value_parser!(u16).range(1..))]
    starts: u16,
    /// How often everything else is measured.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// The effects in table and topic at which all is measured again, ascending.
    #[arg(long, value_delimiter = ',', default_value = "1000,10000,50000")]
    sizes: Vec<usize>,
}

const AFTER_HELP: &str = "\
Each figure is a median over the rounds, with the least and the most, and so is each ratio: ours by what is beside it, of \
the same round. Run it with --release. DRIFTQ_HTTP_URL puts another broker in, which keeps the topics that are made. With \
EFFECTS_TABLE the functions use that DynamoDB, where nothing should be due; what is written to the table by plain HTTP, which \
does not sign, and what is counted at the wire before the embedded one is left out, with a line that says so.";

/// The peak that each process may reach.
const MEMORY_MIB: f64 = 32.0;

/// Measures all, and prints.
pub(crate) async fn run(args: Args) -> Result<()> {
    let functions = Functions::find().await?;
    let bare = Bare::build().await?;
    let mut report = Report::new();
    startup::measure(&mut report, &functions, &bare.echo, args.starts).await?;
    let recorded = requests::measure(&mut report, &functions).await?;
    let site = async |partitions| Site::start(&functions, &bare, &recorded, partitions).await;
    ingest::measure(&mut report, &site(32).await?, args.rounds).await?;
    drain::measure(&mut report, &site(1).await?, args.rounds).await?;
    drain::measure(&mut report, &site(32).await?, args.rounds).await?;
    growth::measure(&mut report, &site(8).await?, &args).await?;
    for (name, binary) in [("ingest", &functions.ingest), ("consumer", &functions.consumer)] {
        report.alone(format!("size of {name} in a zip"), "MiB", vec![mib(deflated(binary)?)])?;
        report.alone(format!("size of {name}"), "MiB", vec![mib(fs::metadata(binary)?.len())])?;
    }
    report.print(args.json)
}

/// The peaks of a site's processes, beside the budget.
fn peaks(report: &mut Report, site: &Site, when: &str) -> Result<()> {
    for function in [&site.stack.ingest, &site.stack.consumer] {
        let peak = vec![mib(memory(function, "VmHWM:")?)];
        let what = format!("peak memory of {}{when}", function.name());
        report.beside(what, "MiB", peak, "the budget", vec![MEMORY_MIB], Some(Target::AtMost(1.0)))?;
    }
    Ok(())
}
