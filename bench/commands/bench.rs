//! `bench`: measures everything that costs time, each beside a measured bound, in one run.
//!
//! [`site`] a stack to measure · [`plain`] the same work by plain clients · [`recorded`] requests of the functions, to be
//! sent again · [`third_party`] the third party that is called · one file per subject: [`startup`], [`ingest`], [`drain`],
//! [`storm`], [`requests`], [`growth`], [`flow`], [`powertools`] · [`report`] the table.

mod drain;
mod flow;
mod growth;
pub(super) mod ingest;
mod plain;
mod powertools;
pub(super) mod recorded;
mod report;
mod requests;
pub(super) mod site;
mod startup;
mod storm;
mod third_party;

use std::fs;

use anyhow::Result;
use clap::{Args as ClapArgs, ValueEnum};
use local::{
    broker::Profile,
    functions::{Bare, Functions},
    generation,
};

use self::{
    recorded::Recorded,
    report::{Report, Target},
    site::{Setup, Site},
};
use super::measure::{deflated, memory, mib};

/// The options of the benchmark.
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
    #[command(flatten)]
    broker: generation::Broker,
    /// Measure only this, and the requests of a command; may be given several times.
    #[arg(long, value_enum)]
    only: Vec<Part>,
}

/// A part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// From the spawn to the first poll, and the first invocation.
    Startup,
    /// Webhooks to their 202.
    Ingest,
    /// The consumer on a full topic.
    Drain,
    /// All of it again, with more and more effects there.
    Growth,
    /// From the 2xx to the call, what is due, and who delays whom.
    Flow,
    /// The same work in Python and in Node, with Powertools.
    Powertools,
    /// The binaries.
    Size,
}

const AFTER_HELP: &str = "\
Each figure is a median over the rounds, with the least and the most, and so is each ratio: ours by what is beside it, of \
the same round. Run it with --release. DRIFTQ_HTTP_URL puts another broker in, which keeps the topics that are made. With \
EFFECTS_TABLE the functions use that DynamoDB, where nothing should be due; what is written to the table by plain HTTP, which \
does not sign, and what is counted at the fault proxy before the embedded one is left out, with a line that says so.";

/// What every part of it needs.
struct Bench<'a> {
    functions: &'a Functions,
    bare: &'a Bare,
    recorded: &'a Recorded,
    profile: Profile,
    rounds: u16,
}

/// The peak that each process may reach.
const MEMORY_MIB: f64 = 32.0;

/// Measures all, and prints.
pub(crate) async fn run(args: Args) -> Result<()> {
    let functions = Functions::find().await?;
    let bare = Bare::build().await?;
    let mut report = Report::new();
    if args.wants(Part::Startup) {
        startup::measure(&mut report, &functions, &bare.echo, args.starts).await?;
    }
    let recorded = requests::measure(&mut report, &functions).await?;
    let (rounds, profile) = (args.rounds, args.broker.profile());
    let bench = Bench { functions: &functions, bare: &bare, recorded: &recorded, profile, rounds };
    let site = async |partitions| Site::start(&bench, partitions, Setup::default()).await;
    if args.wants(Part::Ingest) {
        ingest::measure(&mut report, &site(32).await?, rounds).await?;
    }
    if args.wants(Part::Drain) {
        drain::measure(&mut report, &site(1).await?, rounds).await?;
        drain::measure(&mut report, &site(32).await?, rounds).await?;
    }
    if args.wants(Part::Growth) {
        growth::measure(&mut report, &site(8).await?, &args).await?;
    }
    if args.wants(Part::Flow) {
        flow::measure(&mut report, &bench).await?;
    }
    if args.wants(Part::Powertools) {
        powertools::measure(&mut report, &site(8).await?, rounds).await?;
    }
    if args.wants(Part::Size) {
        sizes(&mut report, &functions)?;
    }
    report.print(args.json)
}

impl Args {
    fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }
}

fn sizes(report: &mut Report, functions: &Functions) -> Result<()> {
    for (name, binary) in [("ingest", &functions.ingest), ("consumer", &functions.consumer)] {
        report.alone(format!("size of {name} in a zip"), "MiB", vec![mib(deflated(binary)?)])?;
        report.alone(format!("size of {name}"), "MiB", vec![mib(fs::metadata(binary)?.len())])?;
    }
    Ok(())
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
