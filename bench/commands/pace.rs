//! `pace`: how many messages per second the broker accepts, delivers and gets acked.

use std::{
    env,
    fs::File,
    io::Write,
    net::Ipv4Addr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use clap::Args as ClapArgs;
use futures_util::{StreamExt, TryStreamExt, future, stream};
use local::{
    broker::{Broker, Profile},
    http,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use uuid::Uuid;

/// Nothing here takes longer.
const LIMIT: Duration = Duration::from_secs(120);
/// A partition takes 100 unacked messages, and less than 65,536 bytes; producers stay well below.
const WINDOW: usize = 64;
const WINDOW_BYTES: usize = 60_000;

/// What `pace` takes.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// How many messages.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..))]
    messages: u32,
    /// The bytes of each.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=60_000))]
    bytes: u16,
    /// The partitions of the topic, which is a new one.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..))]
    partitions: u8,
    /// The connections that produce; one more consumes, and acks use up to two for each partition.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..))]
    connections: u8,
}

const AFTER_HELP: &str = "\
Messages are produced, consumed and acked at the same time, and every produce and every ack is on disk before it is
answered. The broker is the embedded one, with its log in the system's folder for temporary files (TMPDIR), or that of
DRIFTQ_HTTP_URL, which then keeps the topic for good. Run it with --release.";

/// Starts a broker if there is none, drives it, and prints.
pub(crate) async fn run(args: Args) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (url, _broker) = match env::var("DRIFTQ_HTTP_URL").ok().filter(|url| !url.is_empty()) {
        Some(url) => {
            println!("the broker of {url}, on its own disk");
            (url.trim_end_matches('/').trim_end_matches("/v1").to_owned(), None)
        }
        None => {
            let (addr, wal) = ((Ipv4Addr::LOCALHOST, 0).into(), folder.path().join("wal"));
            let broker = Broker::start(addr, &wal, Profile::G0).await?;
            let sync = sync_time(folder.path())?;
            println!("the embedded broker; an fsync takes {:.2} ms here", sync.as_secs_f64() * 1e3);
            (broker.url(), Some(broker))
        }
    };
    let pace = Arc::new(Pace::prepare(url, args).await?);
    let since = Instant::now();
    let all = future::try_join(pace.clone().produce_all(), pace.consume_all());
    tokio::time::timeout(LIMIT, all).await.with_context(|| {
        format!("given up after {} s; fewer --messages take less time", LIMIT.as_secs())
    })??;
    let took = since.elapsed();
    let Args { messages, bytes, partitions, connections } = pace.args;
    println!(
        "{messages} messages of {bytes} bytes over {partitions} partitions and {connections} connections: \
         produced, consumed and acked in {:.1} s",
        took.as_secs_f64()
    );
    println!("{:.0} messages/s", f64::from(messages) / took.as_secs_f64());
    Ok(())
}

/// The median of some appends to a file of that folder, each with its fsync.
fn sync_time(folder: &Path) -> Result<Duration> {
    let mut file = File::create(folder.join("fsync"))?;
    let mut times = Vec::new();
    for _ in 0..51 {
        let since = Instant::now();
        file.write_all(&[b'x'; 200])?;
        file.sync_data()?;
        times.push(since.elapsed());
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

struct Pace {
    client: reqwest::Client,
    url: String,
    topic: String,
    args: Args,
    produced: AtomicU32,
    /// For each partition, how many more messages it has room for.
    room: Vec<Semaphore>,
}

#[derive(Deserialize)]
struct Delivery {
    partition: usize,
    offset: u64,
}

impl Pace {
    async fn prepare(url: String, args: Args) -> Result<Self> {
        let topic = format!("pace-{}", Uuid::new_v4().simple());
        let window = WINDOW.min(WINDOW_BYTES / usize::from(args.bytes));
        let room = (0..args.partitions).map(|_| Semaphore::new(window)).collect();
        let pace = Self { client: http::client()?, url, topic, args, produced: AtomicU32::new(0), room };
        pace.post("topics", &json!({ "name": pace.topic, "partitions": pace.args.partitions })).await?;
        Ok(pace)
    }

    async fn post(&self, what: &str, body: &Value) -> Result<()> {
        let url = format!("{}/v1/{what}", self.url);
        let response = self.client.post(&url).body(body.to_string()).send().await?;
        let status = response.status();
        let text = response.text().await?; // to its end, so that the connection can be used again
        ensure!(status.is_success(), "{url} answered {status}: {}", text.trim_end());
        Ok(())
    }

    async fn produce_all(self: Arc<Self>) -> Result<()> {
        let producers = (0..self.args.connections).map(|_| tokio::spawn(self.clone().produce_some()));
        for producer in producers.collect::<Vec<_>>() {
            producer.await??;
        }
        Ok(())
    }

    async fn produce_some(self: Arc<Self>) -> Result<()> {
        let value = "x".repeat(self.args.bytes.into());
        loop {
            let number = self.produced.fetch_add(1, Ordering::Relaxed);
            if number >= self.args.messages {
                return Ok(());
            }
            let partition = number as usize % self.room.len();
            self.room[partition].acquire().await?.forget(); // given back by the ack
            let envelope = json!({ "partition_override": partition });
            self.post("produce", &json!({ "topic": self.topic, "value": value, "envelope": envelope }))
                .await?;
        }
    }

    async fn consume_all(&self) -> Result<()> {
        let url =
            format!("{}/v1/consume?topic={}&group=pace&owner=pace&lease_ms=60000", self.url, self.topic);
        let response = self.client.get(&url).send().await?.error_for_status()?;
        let mut rest = Vec::new();
        let lines = response.bytes_stream().map_err(anyhow::Error::from).map_ok(move |bytes| {
            rest.extend_from_slice(&bytes);
            let lines = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
            let lines: Vec<u8> = rest.drain(..lines).collect();
            let lines = serde_json::Deserializer::from_slice(&lines).into_iter().map(|line| Ok(line?));
            stream::iter(lines.collect::<Vec<Result<Delivery>>>())
        });
        let deliveries = lines.try_flatten().take(self.args.messages as usize);
        deliveries.try_for_each_concurrent(None, |delivery| self.ack(delivery)).await
    }

    async fn ack(&self, Delivery { partition, offset }: Delivery) -> Result<()> {
        let place = json!({
            "topic": self.topic, "group": "pace", "owner": "pace", "partition": partition, "offset": offset,
        });
        self.post("ack", &place).await?;
        self.room[partition].add_permits(1);
        Ok(())
    }
}
