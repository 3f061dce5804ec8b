//! An HTTP/1.1 server whose connections can be cut, one from inside a handler, or all at once. The fault proxy and the third party
//! simulate lost connections in this way.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use anyhow::Context as _;
use axum::{
    Router,
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use futures_util::task::AtomicWaker;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinHandle,
};

/// The loopback address with a port that the system chooses.
pub const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// A router being served, until it is dropped.
#[derive(Debug)]
pub struct Server {
    addr: SocketAddr,
    router: Router,
    connections: Connections,
    serving: Mutex<Option<JoinHandle<()>>>,
    /// Reserves the system-chosen port while nothing listens there. Otherwise the system may give it to another server, which would answer instead.
    kept: Option<TcpSocket>,
}

impl Server {
    /// Binds and serves.
    ///
    /// # Errors
    /// The address can't be bound.
    pub async fn start(addr: SocketAddr, router: Router) -> anyhow::Result<Self> {
        let kept = if cfg!(unix) && addr.port() == 0 { Some(shared_port(addr)?) } else { None };
        let addr = kept.as_ref().map_or(Ok(addr), TcpSocket::local_addr)?;
        let (connections, serving) = (Connections::default(), Mutex::default());
        let mut server = Self { addr, router, connections, serving, kept };
        server.addr = server.open().await?;
        Ok(server)
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its base URL, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Listens again where it listened before.
    ///
    /// # Errors
    /// Another process has taken the port.
    pub async fn open(&self) -> anyhow::Result<SocketAddr> {
        let listener = match &self.kept {
            Some(_) => shared_port(self.addr).and_then(|socket| socket.listen(BACKLOG)),
            None => TcpListener::bind(self.addr).await,
        };
        let listener = listener.with_context(|| {
            format!("{} can't be listened on; choose another port, or none for a free one", self.addr)
        })?;
        let addr = listener.local_addr()?;
        let listener = Severable { listener, connections: self.connections.clone() };
        let router = self.router.clone().into_make_service_with_connect_info::<Connection>();
        let serving = tokio::spawn(async move {
            // It never returns: accept errors are retried.
            let _ = axum::serve(listener, router).await;
        });
        *self.serving.lock().unwrap_or_else(PoisonError::into_inner) = Some(serving);
        Ok(addr)
    }

    /// Stops listening and cuts every connection: from now on, connecting is refused.
    pub async fn close(&self) {
        let serving = self.serving.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(serving) = serving {
            serving.abort();
            // The listener is closed once the task is gone.
            let _ = serving.await;
        }
        self.connections.cut_all();
    }

    /// Cuts all present connections; new ones are accepted.
    pub fn cut_all(&self) {
        self.connections.cut_all();
    }
}

/// A socket that can share its port with other sockets of this kind; the system gives the port to no other process.
fn shared_port(addr: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    #[cfg(unix)]
    socket.set_reuseport(true)?;
    socket.bind(addr)?;
    Ok(socket)
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(serving) = self.serving.lock().unwrap_or_else(PoisonError::into_inner).take() {
            serving.abort();
        }
        self.connections.cut_all();
    }
}

/// The connection of a request.
#[derive(Debug, Clone, Default)]
pub struct Connection(Arc<Cut>);

#[derive(Debug, Default)]
struct Cut {
    done: AtomicBool,
    reader: AtomicWaker,
}

impl Connection {
    /// Cuts it: nothing more is read from it or written to it.
    pub fn cut(&self) {
        self.0.done.store(true, Ordering::SeqCst);
        self.0.reader.wake();
    }

    fn check(&self) -> io::Result<()> {
        if self.0.done.load(Ordering::SeqCst) { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }
}

#[derive(Debug, Clone, Default)]
struct Connections(Arc<Mutex<Vec<Weak<Cut>>>>);

impl Connections {
    fn add(&self, connection: &Connection) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|other| other.strong_count() > 0);
        all.push(Arc::downgrade(&connection.0));
    }

    fn cut_all(&self) {
        let all = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        all.iter().filter_map(Weak::upgrade).for_each(|cut| Connection(cut).cut());
    }
}

struct Severable {
    listener: TcpListener,
    connections: Connections,
}

impl Listener for Severable {
    type Io = Stream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Stream, SocketAddr) {
        let (stream, peer) = Listener::accept(&mut self.listener).await;
        // Only for speed; an error does not matter.
        let _ = stream.set_nodelay(true);
        let connection = Connection::default();
        self.connections.add(&connection);
        (Stream { stream, connection }, peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Connected<IncomingStream<'_, Severable>> for Connection {
    fn connect_info(incoming: IncomingStream<'_, Severable>) -> Self {
        incoming.io().connection.clone()
    }
}

/// One accepted connection.
struct Stream {
    stream: TcpStream,
    connection: Connection,
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.connection.0.reader.register(cx.waker());
        self.connection.check()?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.connection.check()?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection.check()?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn while_it_is_closed_connecting_is_refused_and_nobody_else_gets_its_port() {
        let server = Server::start(ANY_PORT, Router::new()).await.unwrap();
        TcpStream::connect(server.addr()).await.unwrap();
        server.close().await;
        let refused = TcpStream::connect(server.addr()).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let taken = TcpListener::bind(server.addr()).await.unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        server.open().await.unwrap();
        TcpStream::connect(server.addr()).await.unwrap();
    }

    #[tokio::test]
    async fn a_port_that_was_asked_for_is_not_shared() {
        let server = Server::start(ANY_PORT, Router::new()).await.unwrap();
        assert!(Server::start(server.addr(), Router::new()).await.is_err());
    }
}
