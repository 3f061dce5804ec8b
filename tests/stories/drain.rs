//! Draining a broker: acks in order, none above messages that others hold, streams that break or are shared with a dead consumer, topics that vanish,
//! responses of every kind.
//!
//! `order` what an ack commits · `shared` a dead consumer's stream that stays open · `held` how much that stream may hold · `streams` cut, garbled,
//! repeated · `topics` empty, vanished, shrunk · `answers` responses to acks, produces and other requests · `cumulative` responses to a newer
//! broker's acks.

mod answers;
mod cumulative;
mod held;
mod order;
mod shared;
mod streams;
mod topics;

use std::collections::BTreeMap;

use anyhow::Result;
use local::{hook::Hook, proxy::Seen, stack::Stack};

use crate::setup::{Story, builder, config, consumes, deliver, dispute_about, produces};

/// A single or a cumulative ack.
pub(crate) fn ack(seen: &Seen) -> bool {
    seen.goes_to("POST", "/v1/ack") || seen.goes_to("POST", "/v1/ack-cumulative")
}

/// With this many partitions, and a consumer that waits this long for more.
async fn stack_of(partitions: u32, idle_exit: &str) -> Result<Stack> {
    let builder = builder(config()?)?.env("DRIFTQ_PARTITIONS", &partitions.to_string());
    builder.env("IDLE_EXIT", idle_exit).start().await
}

/// Whether to skip a test that kills the broker.
pub(crate) fn is_not_ours_to_kill(stack: &Stack) -> bool {
    let external = stack.broker.is_external();
    if external {
        println!("skipped: the broker of DRIFTQ_HTTP_URL is not ours to kill");
    }
    external
}

/// The broker is killed and starts again with its log; the consumer is killed before it opens another stream.
fn power_cut(stack: &Stack) -> Hook {
    let (consumer, broker) = (stack.consumer.killer(), stack.broker.clone());
    Hook::new(move || {
        let (consumer, broker) = (consumer.clone(), broker.clone());
        async move {
            broker.restart().await.expect("the broker is ours, and starts again");
            consumer.kill().await;
        }
    })
}

/// Delivers disputes with these names, one command each, in this order.
async fn deliver_all(stack: &Stack, names: &[&str]) -> Result<()> {
    for name in names {
        deliver(stack, &dispute_about(name)?).await?;
    }
    Ok(())
}

/// How often the ticket of each dispute was opened.
fn tickets(stack: &Stack) -> BTreeMap<String, usize> {
    stack.third_party.ledger().applied_by(|call| call.body["title"].as_str().unwrap_or_default().to_owned())
}

/// As [`tickets`], if each of these was opened once and nothing else.
fn once_each(names: &[&str]) -> BTreeMap<String, usize> {
    names.iter().map(|name| (format!("Dispute {name}"), 1)).collect()
}

/// A name with that prefix whose key belongs to the partition: FNV-1a-32 of the key, modulo (`docs/driftq-contract.md`, P5).
fn name_in(partition: u32, partitions: u32, beginning: &str) -> String {
    let fnv = |key: &str| {
        key.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
    };
    let names = (0..).map(|number| format!("{beginning}_{number}"));
    names.into_iter().find(|name| fnv(name) % partitions == partition).expect("one in so many")
}

/// Runs tests in parallel: they mostly wait for the broker's clock.
pub(crate) async fn side_by_side<const N: usize>(stories: [impl Future<Output = Story>; N]) -> Story {
    futures_util::future::try_join_all(stories).await.map(drop)
}
