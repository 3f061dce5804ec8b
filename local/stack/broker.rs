//! The broker of a stack: in this process, in its own process, or an external one.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::Mutex,
    time::sleep,
};

use crate::{
    broker::{Broker, Profile},
    proxy::FaultProxy,
};

/// How often a port that is in use is tried again, and the pause between tries.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(100);

/// Which broker to use.
#[derive(Debug, Clone)]
pub enum Kind {
    /// The embedded broker of this crate, in this process.
    Embedded,
    /// The embedded broker in its own process, started by the `broker` command of this binary (the command line), so that
    /// SIGKILL is a real one.
    Process(PathBuf),
    /// One that already runs, at this URL. It can't be killed.
    External(String),
}

#[derive(Debug)]
enum Running {
    Embedded(Broker),
    Process(Child),
    External,
    Down,
}

/// Kills and starts the broker. Cheap to clone, and fit for a hook.
#[derive(Debug, Clone)]
pub struct BrokerControl(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    profile: Profile,
    wal: PathBuf,
    url: String,
    running: Mutex<Running>,
    proxy: Arc<FaultProxy>,
}

impl BrokerControl {
    pub(super) async fn start_first(
        kind: Kind,
        profile: Profile,
        wal: PathBuf,
        addr: SocketAddr,
    ) -> Result<(Self, Arc<FaultProxy>)> {
        let (running, url) = start(&kind, profile, addr, &wal).await?;
        let proxy = Arc::new(FaultProxy::start(&url).await?);
        let inner = Inner { kind, profile, wal, url, running: Mutex::new(running), proxy: proxy.clone() };
        Ok((Self(Arc::new(inner)), proxy))
    }

    /// The broker's own base URL, without the fault proxy.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// The fault proxy between the functions and this broker.
    #[must_use]
    pub fn proxy(&self) -> &FaultProxy {
        &self.0.proxy
    }

    /// Whether it runs somewhere else and can't be killed.
    #[must_use]
    pub fn is_external(&self) -> bool {
        matches!(self.0.kind, Kind::External(_))
    }

    /// Kills it, by SIGKILL or an equivalent. Connecting is refused until [`BrokerControl::start`].
    ///
    /// # Errors
    /// The broker is external.
    pub async fn kill(&self) -> Result<()> {
        let mut running = self.0.running.lock().await;
        match std::mem::replace(&mut *running, Running::Down) {
            Running::Embedded(broker) => broker.kill().await,
            Running::Process(mut child) => child.kill().await?,
            Running::Down => {}
            Running::External => {
                *running = Running::External;
                bail!("this broker is not ours to kill");
            }
        }
        self.0.proxy.close().await;
        Ok(())
    }

    /// Starts it again, with the state in its log.
    ///
    /// # Errors
    /// It does not start, or its port is in use.
    pub async fn start(&self) -> Result<()> {
        let mut running = self.0.running.lock().await;
        if let Running::Down = *running {
            // At its previous address: only our own broker can be down.
            let addr = self.0.url.trim_start_matches("http://").parse()?;
            let start = || start(&self.0.kind, self.0.profile, addr, &self.0.wal);
            *running = when_free(start).await?.0;
            when_free(|| self.0.proxy.open()).await?;
        }
        Ok(())
    }

    /// Kills it and starts it again with an empty log, as if its disk was lost.
    ///
    /// # Errors
    /// As [`BrokerControl::kill`] and [`BrokerControl::start`].
    pub async fn wipe(&self) -> Result<()> {
        self.kill().await?;
        std::fs::remove_file(&self.0.wal).context("the broker's log")?;
        self.start().await
    }

    /// [`BrokerControl::kill`] and [`BrokerControl::start`].
    ///
    /// # Errors
    /// As theirs.
    pub async fn restart(&self) -> Result<()> {
        self.kill().await?;
        self.start().await
    }
}

/// Binds a port again. After its release, another process's outgoing connection may use it for a while.
async fn when_free<T, F: Future<Output = Result<T>>>(take: impl Fn() -> F) -> Result<T> {
    let is_taken = |error: &anyhow::Error| {
        let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
        causes.any(|cause| cause.kind() == io::ErrorKind::AddrInUse)
    };
    for _ in 0..TRIES {
        match take().await {
            Err(error) if is_taken(&error) => sleep(PAUSE).await,
            outcome => return outcome,
        }
    }
    take().await
}

async fn start(kind: &Kind, profile: Profile, addr: SocketAddr, wal: &Path) -> Result<(Running, String)> {
    match kind {
        Kind::Embedded => {
            let broker = Broker::start(addr, wal, profile).await.context("the broker")?;
            let url = broker.url();
            Ok((Running::Embedded(broker), url))
        }
        Kind::Process(binary) => {
            let (child, url) = spawn(binary, profile, addr, wal).await.context("the broker's process")?;
            Ok((Running::Process(child), url))
        }
        Kind::External(url) => {
            // The fault proxy forwards whole paths, with or without a /v1 in the address.
            let url = url.trim_end_matches('/').trim_end_matches("/v1").to_owned();
            Ok((Running::External, url))
        }
    }
}

async fn spawn(binary: &Path, profile: Profile, addr: SocketAddr, wal: &Path) -> Result<(Child, String)> {
    let mut command = Command::new(binary);
    command.args(["broker", "--until-stdin-ends", "--addr", &addr.to_string(), "--wal"]).arg(wal);
    let limit = profile.max_in_flight().to_string();
    command.args(["--profile", profile.name(), "--max-inflight", &limit]);
    // Its standard input closes with this process, even if that is killed, and then it ends.
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    #[cfg(unix)]
    command.process_group(0);
    let mut child = command.spawn()?;
    let output = child.stdout.take().context("no output")?;
    let line = BufReader::new(output).lines().next_line().await?.context("it ended at once")?;
    let url = line.split_whitespace().last().context("it printed no address")?.to_owned();
    Ok((child, url))
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, future::ready};

    use anyhow::anyhow;

    use super::*;

    #[tokio::test]
    async fn a_port_that_is_lent_out_is_waited_for_and_no_other_trouble_is() {
        let tries = Cell::new(0);
        let taken = when_free(|| {
            tries.set(tries.get() + 1);
            let bound = if tries.get() < 3 { Err(io::Error::from(io::ErrorKind::AddrInUse)) } else { Ok(()) };
            ready(bound.context("taken"))
        });
        taken.await.unwrap();
        assert_eq!(tries.get(), 3);
        let refused: Result<()> = when_free(|| ready(Err(anyhow!("another reason")))).await;
        assert_eq!(refused.unwrap_err().to_string(), "another reason");
    }
}
