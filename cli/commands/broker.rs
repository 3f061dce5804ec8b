//! `broker`: the DriftQ-compatible broker, alone.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::Result;
use clap::Args as ClapArgs;
use local::{broker::Broker, generation};

use crate::stop::Stop;

/// What `broker` takes.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// Where to listen; port 0 chooses a free one, which is printed.
    #[arg(long, default_value = "127.0.0.1:8080")]
    addr: SocketAddr,
    /// The write-ahead log; made if it is not there.
    #[arg(long, default_value = "driftq.wal")]
    wal: PathBuf,
    #[command(flatten)]
    broker: generation::Broker,
    /// Stop when standard input ends: for a parent that may itself be killed.
    #[arg(long)]
    until_stdin_ends: bool,
}

const AFTER_HELP: &str = "\
Examples: the first generation; and a newer broker, but with the limit of the first, as some installations have it
  cargo webhooks broker
  cargo webhooks broker --profile g3 --max-inflight 2 --addr 127.0.0.1:8080 --wal /tmp/driftq.wal

A log belongs to the generation that wrote it: the other refuses to start on it.";

/// Runs until Ctrl-C, or SIGTERM.
pub(crate) async fn run(args: Args) -> Result<()> {
    let mut stop = Stop::listen()?;
    let broker = Broker::start(args.addr, &args.wal, args.broker.profile()).await?;
    // One line, its last word the address: the demo starts its broker by this command and reads it.
    println!("DriftQ-compatible broker on {}", broker.url());
    tokio::select! {
        asked = stop.asked() => asked?,
        ended = stdin_ends(), if args.until_stdin_ends => ended?,
    }
    broker.stop().await;
    Ok(())
}

async fn stdin_ends() -> Result<()> {
    tokio::io::copy(&mut tokio::io::stdin(), &mut tokio::io::sink()).await?;
    Ok(())
}
