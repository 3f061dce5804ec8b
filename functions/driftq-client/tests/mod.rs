//! The client against a server that answers each connection with exactly the bytes it is told to.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use super::*;

mod answers;
mod requests;
mod streams;

/// The proof type of these tests.
#[derive(Debug)]
struct Proof;

const SOON: Duration = Duration::from_secs(5);
const LINE: &str =
    r#"{"partition":2,"offset":9,"attempts":1,"key":"k","value":"grün","last_error":"","routing":{}}"#;

fn http() -> reqwest::Client {
    // An error only means that another test has installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

fn client(base: &str) -> Client<Proof> {
    Client::new(http(), base.parse().unwrap(), None).unwrap()
}

fn subscription() -> Subscription {
    let [topic, group, owner] = ["t 1", "g", "o&1"].map(str::to_owned);
    Subscription { topic, group, owner, lease: Duration::from_secs(30) }
}

fn message<'a>(key: &'a str, value: &'a str) -> Produce<'a> {
    Produce { topic: "t", key, value, run_id: "r", step_id: "s" }
}

/// A server that takes one connection after another. Each item is the answer to one request, written once the
/// request has arrived. The channel returns the requests.
async fn serve(answers: Vec<String>) -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let (seen, requests) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        for answer in answers {
            let (mut socket, _) = listener.accept().await.unwrap();
            let _ = seen.send(request(&mut socket).await);
            socket.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (base, requests)
}

/// Reads a request: its head, and as much of a body as it announces.
async fn request(socket: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let announced = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= announced.map_or(0, |length| length.parse().unwrap()) {
                return text;
            }
        }
        assert_ne!(socket.read_buf(&mut bytes).await.unwrap(), 0, "the client hung up early: {text}");
    }
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len())
}

fn json(status: &str, body: &str) -> String {
    answer(status, "Content-Type: application/json\r\n", body)
}

/// The head of a stream, and `chunks` as HTTP chunks. Without an empty chunk at the end, the stream is cut
/// off.
fn streamed(chunks: &[&str]) -> String {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n";
    chunks.iter().fold(head.to_owned(), |text, chunk| text + &format!("{:x}\r\n{chunk}\r\n", chunk.len()))
}

async fn produce_against(answer: String) -> Result<(), Error> {
    let (base, _requests) = serve(vec![answer]).await;
    client(&base).produce(message("k", "v"), SOON).await
}

/// The first item of a stream and, to keep its token alive, the stream; also the client.
async fn first(answer: String) -> (Result<Option<Delivery>, Error>, Stream, Client<Proof>) {
    let (base, _requests) = serve(vec![answer]).await;
    let client = client(&base);
    let mut stream = client.consume(subscription());
    (stream.next().await, stream, client)
}
