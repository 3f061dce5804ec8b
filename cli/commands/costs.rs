//! `costs`: computes the cost of a month for a number of webhooks.

use std::{process::ExitCode, str::FromStr};

use anyhow::Result;
use clap::Args as ClapArgs;
use driftq_webhooks::config::{Config, EMBEDDED};
use serde_json::json;

use crate::{
    costs::{
        bill::{self, Asked, Line, Part},
        neighbours,
        traffic::{MONTH, Traffic},
    },
    output::print,
    paint::Paint,
};

/// The arguments of `costs`.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// Webhooks per month, such as 10k, 1M or 2500000.
    #[arg(long, conflicts_with = "rate", default_value = "1M")]
    month: Amount,
    /// Webhooks per second instead, all month.
    #[arg(long)]
    rate: Option<Amount>,
    /// Steps that a webhook starts, on average.
    #[arg(long, default_value = "1")]
    steps: Amount,
    /// Assume that third parties answer within 100 ms (slow_call); most on the internet don't.
    #[arg(long)]
    fast: bool,
    /// Without X-Ray (Tracing=PassThrough).
    #[arg(long)]
    no_xray: bool,
    /// Without the broker of driftq.yaml, if you have your own.
    #[arg(long)]
    no_broker: bool,
    /// The broker's task has a public address (AssignPublicIp=ENABLED).
    #[arg(long)]
    public_ip: bool,
    /// Days until a broker is replaced.
    #[arg(long, default_value = "7")]
    lasts: Amount,
    /// With a NAT gateway that nothing else uses.
    #[arg(long)]
    nat: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
List prices of us-east-1 in USD without free tiers, for the webhooks.toml in this repository. docs/costs.md states the quantities
that they are multiplied by. A failed attempt costs two more writes and four index writes: 3.75 per million.

Examples:
  cargo webhooks costs --month 1M --nat
  cargo webhooks costs --rate 40 --steps 2 --no-broker --json";

/// A number, with `k` or `M`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Amount(f64);

impl FromStr for Amount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (digits, times) = match text.strip_suffix(['k', 'M']) {
            Some(digits) if text.ends_with('k') => (digits, 1e3),
            Some(digits) => (digits, 1e6),
            None => (text, 1.0),
        };
        let number = digits.parse::<f64>().map_err(|_| "not a number such as 10k, 1M or 0.4".to_owned())?;
        let most = 1e12;
        let fits = number.is_finite() && number > 0.0 && number * times <= most;
        fits.then_some(Self(number * times)).ok_or_else(|| format!("must be above 0, and {most} at most"))
    }
}

/// Computes and prints the costs.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let config = Config::parse("webhooks.toml", EMBEDDED)?;
    let webhooks = args.rate.map_or(args.month.0, |rate| rate.0 * MONTH);
    let traffic = Traffic { webhooks, effects_per_webhook: args.steps.0, slow_calls: !args.fast };
    let asked = Asked {
        traffic,
        xray: !args.no_xray,
        broker: !args.no_broker,
        public_ip: args.public_ip,
        nat: args.nat,
        days: args.lasts.0,
    };
    let lines = bill::of(&asked, &config);
    let neighbours = neighbours::all(webhooks, traffic.effects());
    let total: f64 = lines.iter().map(|line| line.usd).sum();
    if args.json {
        let of = |part| sum(&lines, part);
        let parts = json!({
            "webhooks": of(Part::Webhooks), "always": of(Part::Always), "xray": of(Part::Xray),
            "broker": of(Part::Broker), "nat": of(Part::Nat),
        });
        let all = json!({
            "webhooks_per_month": webhooks, "usd_per_month": total, "parts": parts, "lines": lines,
            "neighbours": neighbours,
        });
        print(&all.to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    let paint = Paint::stdout();
    print(&paint.bold(format!("{webhooks:.0} webhooks per month, {:.2} per second", webhooks / MONTH)))?;
    for (part, name) in NAMES {
        let of_part: Vec<_> = lines.iter().filter(|line| line.part == part).collect();
        if of_part.is_empty() {
            continue;
        }
        print(&paint.bold(format!("\n{name:62}{:>12.2}", sum(&lines, part))))?;
        for line in of_part {
            print(&format!("  {:60}{:>12.2}", line.what, line.usd))?;
        }
    }
    print(&paint.bold(format!("\n{:62}{total:>12.2}", "total, USD per month")))?;
    print(
        &paint.bold(
            "\nlist prices of other services for as many webhooks; they do other things: docs/costs.md"
                .to_owned(),
        ),
    )?;
    for it in neighbours {
        print(&format!("  {:60}{:>12.2}  {} ({})", it.name, it.usd, it.how, it.read))?;
    }
    Ok(ExitCode::SUCCESS)
}

const NAMES: [(Part, &str); 5] = [
    (Part::Webhooks, "for the webhooks"),
    (Part::Always, "fixed, even if idle"),
    (Part::Xray, "X-Ray"),
    (Part::Broker, "broker of driftq.yaml"),
    (Part::Nat, "NAT"),
];

fn sum(lines: &[Line], part: Part) -> f64 {
    lines.iter().filter(|line| line.part == part).map(|line| line.usd).sum()
}
