//! A third party that requires a client certificate over TLS. Its authority, its certificate and ours are in `client_certificates/`: they are public,
//! protect nothing, and are valid until 2126.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, TcpStream},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use local::stack::{Effect, Stack};
use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use tokio::{net::TcpListener, time::timeout};
use toml::{Table, Value, toml};

use crate::setup::{Story, builder, config, deliver, dispute, only_effect, retry, settle, table};

const AUTHORITY: &str = include_str!("client_certificates/authority.pem");
const SERVER: &str = include_str!("client_certificates/server.pem");
const CLIENT: &str = include_str!("client_certificates/client.pem");
/// Longer than a connection needs; reached only by a failed test.
const PATIENCE: Duration = Duration::from_secs(20);
const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 13\r\nconnection: close\r\n\r\n{\"id\":\"tp_1\"}";

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>> {
    Ok(CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>()?)
}

/// A server that requires a certificate of that authority.
fn server() -> Result<ServerConfig> {
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(certificates(AUTHORITY)?.pop().context("an authority")?)?;
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let config = config.with_client_cert_verifier(clients.build()?);
    Ok(config.with_single_cert(certificates(SERVER)?, PrivateKeyDer::from_pem_slice(SERVER.as_bytes())?)?)
}

/// The client's certificate, and the first bytes of the request.
type Seen = (CertificateDer<'static>, String);

/// Serves the first connection.
async fn serve(listener: TcpListener) -> Result<Seen> {
    let accepted = timeout(PATIENCE, listener.accept()).await.context("nobody has connected")?;
    let tcp = accepted?.0.into_std()?;
    tcp.set_nonblocking(false)?;
    tcp.set_read_timeout(Some(PATIENCE))?;
    tokio::task::spawn_blocking(|| answer(tcp)).await?
}

fn answer(mut tcp: TcpStream) -> Result<Seen> {
    let mut tls = ServerConnection::new(Arc::new(server()?))?;
    while tls.is_handshaking() {
        if let Err(error) = tls.complete_io(&mut tcp) {
            drain(&tcp);
            return Err(error.into());
        }
    }
    let shown = tls.peer_certificates().and_then(<[_]>::first).cloned().context("no certificate")?;
    let mut stream = StreamOwned::new(tls, tcp);
    let mut head = [0; 4096];
    let read = stream.read(&mut head)?;
    stream.write_all(ANSWER)?;
    stream.conn.send_close_notify();
    stream.flush()?;
    drain(&stream.sock);
    Ok((shown, String::from_utf8_lossy(&head[..read]).into_owned()))
}

/// Reads what the other side still sends; otherwise closing would reset the connection.
fn drain(mut tcp: &TcpStream) {
    let _ = tcp.shutdown(Shutdown::Write);
    let _ = tcp.read_to_end(&mut Vec::new());
}

/// Opens a ticket at a third party with this client certificate, if any. Returns the effect, and what the third party received.
async fn opened(certificate: Option<&str>) -> Result<(Effect, Result<Seen>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let host = listener.local_addr()?.to_string();
    let mut config = config()?;
    let step = config.step("open_ticket");
    step.insert("retry".into(), Value::Table(retry(1)));
    step.insert("in_doubt".into(), Value::Table(toml! { policy = "park" }));
    let call = table(step, "call");
    call.insert("url".into(), format!("https://{host}/api/tickets").into());
    call.insert("timeout".into(), "10s".into());
    if certificate.is_some() {
        let destination = toml! { client_certificate = "TICKETS_CERTIFICATE" };
        let destinations = Table::from_iter([(host, Value::Table(destination))]);
        config.table().insert("destinations".into(), Value::Table(destinations));
    }
    let folder = tempfile::tempdir()?;
    let authority = folder.path().join("authority.pem");
    std::fs::write(&authority, AUTHORITY)?;
    let stack = builder(config)?.env("SSL_CERT_FILE", &authority.display().to_string());
    let stack: Stack = stack.env("TICKETS_CERTIFICATE", certificate.unwrap_or_default()).start().await?;
    let server = tokio::spawn(serve(listener));
    deliver(&stack, &dispute()?).await?;
    settle(&stack).await?;
    let effect = only_effect(&stack).await?;
    stack.finish().await?;
    Ok((effect, server.await?))
}

#[tokio::test]
async fn a_destination_is_shown_its_certificate() -> Story {
    let (effect, seen) = opened(Some(CLIENT)).await?;
    let (shown, request) = seen?;
    assert_eq!((effect.is_done(), effect.last_error()), (true, ""));
    assert_eq!(shown, certificates(CLIENT)?[0]);
    assert!(request.starts_with("POST /api/tickets HTTP/1.1\r\n"), "{request}");
    Ok(())
}

#[tokio::test]
async fn a_third_party_that_is_shown_none_refuses_and_nothing_is_in_doubt() -> Story {
    let (effect, seen) = opened(None).await?;
    let refused = seen.err().context("it was taken")?.to_string();
    assert!(refused.contains("peer sent no certificates"), "{refused}");
    let why = effect.last_error();
    assert!(effect.is_parked() && why.contains("received fatal alert: CertificateRequired"), "{why}");
    assert!(effect.record["doubt"].is_null(), "{:?}", effect.record);
    Ok(())
}
