//! `broker`: runs only the DriftQ-compatible broker.
use std::{net::SocketAddr, path::PathBuf};

use anyhow::Result;
use clap::Args as ClapArgs;
use local::{broker::Broker, generation};

use crate::stop::Stop;

/// The arguments of `broker`.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The address to listen on; port 0 chooses a free port, which is printed.
    #[arg(long, default_value = "127.0.0.1:8080")]
    addr: SocketAddr,
    /// The write-ahead log; created if missing.
    #[arg(long, default_value = "driftq.wal")]
    wal: PathBuf,
    #[command(flatten)]
    broker: generation::Broker,
    /// Stop when standard input ends: for a parent process that may be killed.
    #[arg(long)]
    until_stdin_ends: bool,
}

const AFTER_HELP: &str = "\
Examples: the first generation; and a newer generation with the limit of the first, as in some installations
  cargo webhooks broker
  cargo webhooks broker --profile g3 --max-inflight 2 --addr 127.0.0.1:8080 --wal /tmp/driftq.wal

Only the generation that wrote a log can read it: the other one refuses to start.";

/// Runs until Ctrl-C, or SIGTERM.
pub(crate) async fn run(args: Args) -> Result<()> {
    let mut stop = Stop::listen()?;
    let broker = Broker::start(args.addr, &args.wal, args.broker.profile()).await?;
    // The demo starts its broker with this command, and reads the URL from the end of this line.
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
