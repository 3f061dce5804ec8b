//! A DriftQ broker for development and tests. It reproduces the observed behaviour of real brokers, faults included.
//!
//! Read it from the inside out. The state machine is independent of HTTP and the clock:
//!
//! 1. `profile`: the broker's generation; `message`, `topic`, `group`: the data;
//! 2. `keys`: idempotency keys, produce and consume;
//! 3. `dispatch`, `redelivery`: which stream gets which message, and when again;
//! 4. `state`: the effect of each request; `dead_letter`: the end of a message that fails too often;
//!    `replay`: the state after a restart.
//!
//! Around it:
//!
//! 5. `log`: the write-ahead log, synced before every response; `record`: its lines;
//! 6. `engine`: runs one turn at a time, and passes its effects to the log;
//! 7. `http`, `request`, `produce_request`, `reply`: the protocol; `connection`: its timeout; `metrics`: `/metrics`;
//! 8. `parity`: how Go reads and writes JSON, times and paths. You can skip it: the functions do not depend on such
//!    details.
//!
//! The rules were observed on real brokers. `tests/stories/contract` of the root package states them as facts, and can check a real broker
//! against them too.

mod connection;
mod dead_letter;
mod delivery;
mod dispatch;
mod engine;
mod group;
mod http;
mod keys;
mod log;
mod message;
mod metrics;
mod parity;
mod produce_request;
mod profile;
mod record;
mod redelivery;
mod refusal;
mod replay;
mod reply;
mod request;
mod state;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test may panic where it fails")]
mod tests;
mod topic;
mod turn;

use std::future::IntoFuture;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use connection::{About, Listener};
use engine::Engine;
use log::Appender;
pub use profile::Profile;
use state::State;

/// How long to wait for the threads of a broker that has ended.
const THREADS_END: Duration = Duration::from_secs(5);
/// How long a starting broker waits for its port, which a killed broker may just have released.
const PORT_WAIT: Duration = Duration::from_secs(5);

/// A running broker, on its own threads. Dropping it kills it.
#[derive(Debug)]
pub struct Broker {
    addr: SocketAddr,
    end: oneshot::Sender<End>,
    thread: JoinHandle<()>,
    ended: oneshot::Receiver<()>,
}

#[derive(Debug)]
enum End {
    Kill,
    Stop,
}

impl Broker {
    /// Starts a broker on `addr` (port 0 picks one) with its log in the file `wal`, which is created if missing. A broker that was killed or stopped
    /// may be started again on the same address and log.
    ///
    /// # Errors
    /// A log that cannot be read or written, that another generation has written, or whose last line is torn, and an
    /// address that is taken.
    pub async fn start(addr: SocketAddr, wal: &Path, profile: Profile) -> anyhow::Result<Self> {
        let (ready, started) = oneshot::channel();
        let (end, ending) = oneshot::channel();
        let (on_end, ended) = oneshot::channel();
        let wal = PathBuf::from(wal);
        let thread = std::thread::Builder::new().name("broker".into()).spawn(move || {
            if let Err(error) = run(addr, &wal, profile, ready, ending) {
                eprintln!("broker: {error:#}");
            }
            drop(on_end);
        })?;
        let addr = started.await.context("the broker's thread ended before it had started")??;
        Ok(Self { addr, end, thread, ended })
    }

    /// The address it listens on.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its base URL, as `http://127.0.0.1:8080`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Ends it as SIGKILL would: every connection is cut, and nothing more is answered or written. When this returns, the port is free and the log is
    /// closed.
    pub async fn kill(self) {
        self.finish(End::Kill).await;
    }

    /// Ends it as SIGTERM would: no new connections, no redeliveries, and 5 s (G3: 6.5 s) for open requests. An open stream
    /// uses up all of that time.
    pub async fn stop(self) {
        self.finish(End::Stop).await;
    }

    async fn finish(self, how: End) {
        let _ = self.end.send(how); // a broker that is gone already needs no telling
        let _ = self.ended.await;
        let _ = self.thread.join();
    }
}

/// The broker's thread: everything that it opens is closed when it returns.
fn run(
    addr: SocketAddr,
    wal: &Path,
    profile: Profile,
    ready: oneshot::Sender<anyhow::Result<SocketAddr>>,
    end: oneshot::Receiver<End>,
) -> anyhow::Result<()> {
    let opened = open(addr, wal, profile);
    let (runtime, listener, engine, writer) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            let _ = ready.send(Err(error)); // nobody waits any more
            return Ok(());
        }
    };
    let _ = ready.send(listener.local_addr().map_err(Into::into));
    runtime.block_on(serve(listener, Arc::clone(&engine), &writer, end));
    runtime.shutdown_timeout(THREADS_END);
    drop(engine);
    writer.join();
    Ok(())
}

type Opened = (tokio::runtime::Runtime, TcpListener, Arc<Engine>, log::Writer);

fn open(addr: SocketAddr, wal: &Path, profile: Profile) -> anyhow::Result<Opened> {
    let mut state = State::new(profile, uuid::Uuid::new_v4().as_u64_pair().0);
    let now = Timestamp::now();
    log::read(wal, |record| state.replay(now, record))?;
    let (appender, writer): (Appender, _) = log::open(wal, &profile)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("broker-http")
        .enable_all()
        .build()?;
    let listener = runtime.block_on(bind(addr))?;
    Ok((runtime, listener, Arc::new(Engine::new(state, appender)), writer))
}

/// Binds `addr`, and retries for a port that is just being released.
async fn bind(addr: SocketAddr) -> anyhow::Result<TcpListener> {
    let bound = tokio::time::timeout(PORT_WAIT, async {
        loop {
            match TcpListener::bind(addr).await {
                Err(taken) if taken.kind() == std::io::ErrorKind::AddrInUse => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                other => return other,
            }
        }
    });
    let bound = bound.await.with_context(|| format!("{addr} is in use by another process"))?;
    bound.with_context(|| format!("cannot listen on {addr}"))
}

async fn serve(
    listener: TcpListener,
    engine: Arc<Engine>,
    writer: &log::Writer,
    end: oneshot::Receiver<End>,
) {
    let grace = engine.profile().grace;
    let redelivery = tokio::spawn(Arc::clone(&engine).tick());
    let app = axum::Router::new().fallback(http::answer).with_state(engine);
    let app = app.into_make_service_with_connect_info::<About>();
    let (stop, stopping) = oneshot::channel::<()>();
    let server = axum::serve(Listener(listener), app).with_graceful_shutdown(async {
        let _ = stopping.await;
    });
    let mut server = pin!(server.into_future());
    tokio::select! {
        _ = &mut server => {}
        how = end => match how {
            Ok(End::Stop) => {
                redelivery.abort();
                drop(stop);
                let _ = tokio::time::timeout(grace, server).await; // what is still open is severed
            }
            Ok(End::Kill) | Err(_) => writer.kill(),
        },
    }
}
