//! Connections as the real broker keeps them: one that is idle for 5 s is closed, unless it consumes.
//!
//! Its server (Go's, with a `ReadTimeout` of 5 s and no other) applies that to a connection between requests
//! too. A client that pools its connections thus meets dead ones all the time.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, Sleep, sleep};

const IDLE: Duration = Duration::from_secs(5);

/// Accepts connections that close themselves.
pub(super) struct Listener(pub(super) TcpListener);

impl axum::serve::Listener for Listener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (socket, addr) = axum::serve::Listener::accept(&mut self.0).await;
        let _ = socket.set_nodelay(true); // slower without, but no less right
        (Connection { socket, idle: Box::pin(sleep(IDLE)), consuming: Consuming::default() }, addr)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// Whether a connection carries a consume stream, which may be silent for ever.
#[derive(Debug, Clone, Default)]
pub(super) struct Consuming(Arc<AtomicBool>);

impl Consuming {
    /// For good: a stream ends only with its connection.
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Connected<IncomingStream<'_, Listener>> for Consuming {
    fn connect_info(incoming: IncomingStream<'_, Listener>) -> Self {
        incoming.io().consuming.clone()
    }
}

/// A socket that ends once nothing was read or written for 5 s.
pub(super) struct Connection {
    socket: TcpStream,
    idle: Pin<Box<Sleep>>,
    consuming: Consuming,
}

impl Connection {
    fn busy(&mut self) {
        self.idle.as_mut().reset(Instant::now() + IDLE);
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Poll::Ready(read) = Pin::new(&mut this.socket).poll_read(cx, into) {
            this.busy();
            return Poll::Ready(read);
        }
        if this.consuming.0.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        ready!(this.idle.as_mut().poll(cx));
        Poll::Ready(Ok(())) // nothing read: the end
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.busy();
        Pin::new(&mut this.socket).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}
