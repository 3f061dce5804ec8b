//! The broker killed at 50 random moments while 500 commands are drained: each is done, and none is called twice.
//!
//! `KILL_SEED` repeats a run's moments, though not what the machine does in between.

use std::{env, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use local::{hook::Hook, stack::Stack, third_party::Behaviour};
use tokio::time::sleep;

use crate::{
    drain::is_not_ours_to_kill,
    house::{TICKETS, builder, config, deliver, dispute_about, table},
};

const COMMANDS: usize = 500;
const KILLS: usize = 50;

#[tokio::test]
async fn a_broker_killed_at_fifty_random_moments_of_a_drain_loses_and_doubles_nothing() -> Result<()> {
    let stack = stack().await?;
    if is_not_ours_to_kill(&stack) {
        return Ok(());
    }
    let mut moments = Moments::seeded()?;
    // A third party that takes its time, and forgets keys: a second call would be a second ticket.
    stack.third_party.forget_keys(TICKETS);
    let slow = Hook::new(async || sleep(Duration::from_millis(100)).await);
    stack.third_party.always(TICKETS, Behaviour::apply().with_hook(slow));
    let names = (0..COMMANDS).map(|number| format!("dp_{number}"));
    let delivered = stream::iter(names).map(async |name| deliver(&stack, &dispute_about(&name)?).await);
    let mut commands: Vec<_> = delivered.buffer_unordered(4).try_concat().await?;
    commands.sort();

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
    let (settling, killed) = tokio::join!(stack.run_until_settled(Duration::from_secs(150)), killing);
    killed?;
    let settling = settling?;
    println!("{} duplicates, {} runs failed", settling.total(|run| run.duplicates), settling.failures.len());

    let ledger = stack.third_party.ledger();
    let applied = ledger.applied_by_key();
    let doubled: Vec<_> = applied.iter().filter(|(_, times)| **times > 1).collect();
    assert!(doubled.is_empty(), "called twice: {doubled:?}");
    assert!(
        applied.keys().eq(&commands),
        "lost: {:?}",
        commands.iter().filter(|id| !applied.contains_key(*id))
    );
    assert_eq!((ledger.attempts().len(), ledger.deduped().len()), (COMMANDS, 0));
    stack.finish().await
}

/// With patience for the third party, so that no call is given up on a busy machine. The broker is a process of its own, so
/// that SIGKILL is SIGKILL: its binary is built beside the functions for the tests of `local`.
async fn stack() -> Result<Stack> {
    let mut config = config()?;
    table(config.step("open_ticket"), "call").insert("timeout".into(), "10s".into());
    let binary = Path::new(env!("CARGO_BIN_EXE_consumer")).with_file_name("local");
    let builder = builder(config)?;
    ensure!(binary.exists(), "{} is missing; build it with `cargo build -p local`", binary.display());
    builder.broker_process(binary).start().await
}

/// How long to wait before each kill. An ack is sent 2.5 s after a stream has opened, not sooner: some kills strike before
/// that, when there is much done and nothing acked, and some after it, in the midst of the acks.
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
        Duration::from_millis(if early { self.below(600) } else { 2600 + self.below(900) })
    }

    /// xorshift64
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
