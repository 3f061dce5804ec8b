//! Connections with the real broker's timeout: one that is idle for 5 s is closed, unless it carries a consume stream.
//!
//! The real broker (a Go server with a `ReadTimeout` of 5 s) applies that timeout to a connection between requests too, so a client that pools
//! connections often finds them closed.

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

/// A listener whose connections close themselves when idle.
pub(super) struct Listener(pub(super) TcpListener);

impl axum::serve::Listener for Listener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (socket, addr) = axum::serve::Listener::accept(&mut self.0).await;
        let _ = socket.set_nodelay(true); // slower without, but no less right
        let about = About::default();
        (Connection { socket, idle: Box::pin(sleep(IDLE)), about }, addr)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// State shared between a connection and its requests.
#[derive(Debug, Clone, Default)]
pub(super) struct About {
    consuming: Arc<AtomicBool>,
}

impl About {
    /// Marks the connection as a consume stream, which may be idle forever: a stream ends only with its connection.
    pub(super) fn consumes(&self) {
        self.consuming.store(true, Ordering::Relaxed);
    }
}

impl Connected<IncomingStream<'_, Listener>> for About {
    fn connect_info(incoming: IncomingStream<'_, Listener>) -> Self {
        incoming.io().about.clone()
    }
}

/// A socket that ends once nothing was read or written for 5 s.
pub(super) struct Connection {
    socket: TcpStream,
    idle: Pin<Box<Sleep>>,
    about: About,
}

impl Connection {
    fn busy(&mut self) {
        self.idle.as_mut().reset(Instant::now() + IDLE);
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let Poll::Ready(read) = Pin::new(&mut this.socket).poll_read(cx, into) else {
            return this.poll_idle(cx);
        };
        read?;
        this.busy();
        Poll::Ready(Ok(()))
    }
}

impl Connection {
    /// Called when nothing can be read: ends the connection once that has lasted too long.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.about.consuming.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        ready!(self.idle.as_mut().poll(cx));
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
