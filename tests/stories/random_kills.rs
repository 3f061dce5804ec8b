//! Random kills during a drain: each command is done, and none is called twice. The first generation's broker is killed at 50 moments. With a newer
//! one, each dead consumer's stream stays open, and consumer and broker are killed alternately.
//!
//! `KILL_SEED` repeats a run's moments, except for the machine's timing.

use std::{collections::BTreeMap, env, ops::Range, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use local::{broker::Profile, hook::Hook, proxy::Fault, stack::Stack, third_party::Behaviour};
use tokio::time::sleep;

use crate::{
    drain::is_not_ours_to_kill,
    setup::{Story, TICKETS, builder, config, consumes, deliver, dispute_about, table},
};

/// Longer than it takes to do them all.
const PATIENCE: Duration = Duration::from_secs(150);

#[tokio::test]
async fn a_broker_killed_at_fifty_random_moments_of_a_drain_loses_and_doubles_nothing() -> Story {
    const COMMANDS: usize = 500;
    const KILLS: usize = 50;
    let stack = stack(Profile::G0).await?;
    if is_not_ours_to_kill(&stack) {
        return Ok(stack.finish().await?);
    }
    // A third party that does not deduplicate: a second call would be a second ticket.
    stack.third_party.forget_keys(TICKETS);
    let mut commands = deliver_all(&stack, 0..COMMANDS).await?;
    commands.sort();
    let mut moments = Moments::seeded()?;
    let killing = async {
        let mut amid = 0;
        for _ in 0..KILLS {
            sleep(moments.next()).await;
            amid += usize::from(stack.third_party.ledger().attempts().len() < COMMANDS);
            stack.broker.restart().await?;
        }
        println!("{amid} of {KILLS} kills struck before the last call");
        anyhow::Ok(())
    };
    let (settling, killed) = tokio::join!(stack.run_until_settled(PATIENCE), killing);
    killed?;
    let settling = settling?;
    println!("{} duplicates, {} runs failed", settling.total(|run| run.duplicates), settling.failures.len());
    let ledger = stack.third_party.ledger();
    assert_once_each(&commands, &ledger.applied_by_key());
    assert_eq!((ledger.attempts().len(), ledger.deduped().len()), (COMMANDS, 0));
    Ok(stack.finish().await?)
}

/// A killed consumer's calls are repeated, with the same key.
#[tokio::test]
async fn kills_at_a_newer_broker_whose_streams_live_on_lose_and_double_nothing() -> Story {
    const BATCH: usize = 40;
    const KILLS: usize = 12;
    let stack = stack(Profile::G3).await?;
    if is_not_ours_to_kill(&stack) {
        return Ok(stack.finish().await?);
    }
    let streams = stack.broker_proxy.always(consumes, Fault::HalfOpen);
    let (mut moments, mut commands) = (Moments::seeded()?, Vec::new());
    let schedule = stack.schedule(Duration::from_millis(300));
    streams.within(PATIENCE).await?;
    for number in 0..KILLS {
        commands.extend(deliver_all(&stack, number * BATCH..(number + 1) * BATCH).await?);
        sleep(moments.next()).await;
        let opened = streams.count();
        match number % 2 {
            0 => drop(stack.consumer.killer().kill().await),
            _ => stack.broker.restart().await?,
        }
        // After a consumer's death, the next messages go alternately to a living stream and a dead one.
        streams.reach(opened + 1, PATIENCE).await?;
    }
    drop(schedule);
    // Otherwise the last consumer's stream would stay open, and get messages for minutes.
    stack.broker_proxy.heal();
    stack.broker.restart().await?;
    stack.run_until_settled(PATIENCE).await?;
    commands.sort();
    assert_once_each(&commands, &stack.third_party.ledger().applied_by_key());
    Ok(stack.finish().await?)
}

/// A stack with a slow third party and a long timeout, so that no call is given up on a busy machine. The broker is a separate process, so that
/// SIGKILL is a real one: its binary is built beside the functions for the tests of `cli`.
async fn stack(profile: Profile) -> Result<Stack> {
    let mut config = config()?;
    table(config.step("open_ticket"), "call").insert("timeout".into(), "10s".into());
    let binary = Path::new(env!("CARGO_BIN_EXE_consumer")).with_file_name("webhooks");
    let builder = builder(config)?.broker_profile(profile);
    ensure!(binary.exists(), "{} is missing; build it with `cargo build -p cli`", binary.display());
    let stack = builder.broker_process(binary).start().await?;
    let slow = Hook::new(async || sleep(Duration::from_millis(100)).await);
    stack.third_party.always(TICKETS, Behaviour::apply().with_hook(slow));
    Ok(stack)
}

/// Delivers disputes of these numbers, and gives their effects.
async fn deliver_all(stack: &Stack, numbers: Range<usize>) -> Result<Vec<String>> {
    let names = numbers.map(|number| format!("dp_{number}"));
    let delivered = stream::iter(names).map(async |name| deliver(stack, &dispute_about(&name)?).await);
    delivered.buffer_unordered(4).try_concat().await
}

fn assert_once_each(commands: &[String], applied: &BTreeMap<String, usize>) {
    let doubled: Vec<_> = applied.iter().filter(|(_, times)| **times > 1).collect();
    assert!(doubled.is_empty(), "applied twice: {doubled:?}");
    let lost: Vec<_> = commands.iter().filter(|id| !applied.contains_key(*id)).collect();
    assert!(lost.is_empty() && applied.keys().eq(commands), "lost: {lost:?}");
}

/// The pauses before each kill: some kills occur while a stream is opened and the first messages arrive, and some between acks.
struct Moments(u64);

impl Moments {
    fn seeded() -> Result<Self> {
        let seed = match env::var("KILL_SEED") {
            Ok(seed) => seed.parse().context("KILL_SEED is no number")?,
            Err(_) => uuid::Uuid::new_v4().as_u64_pair().0,
        };
        println!("KILL_SEED={seed}");
        Ok(Self(seed | 1))
    }

    fn next(&mut self) -> Duration {
        let early = self.below(10) < 7;
        Duration::from_millis(if early { self.below(600) } else { 600 + self.below(900) })
    }

    /// xorshift64
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
