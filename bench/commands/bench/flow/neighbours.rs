//! How much other work delays messages: messages beside 64 calls that hang, and beside a key with a queue of its own,
//! compared with messages alone. Measured from the broker's acceptance of a message to its call.

use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::sleep;

use super::{
    super::{
        recorded::Kind,
        report::{Report, Target},
        site::{Setup, Site},
    },
    Bench, load, percentile, while_running,
};

const HANGING: usize = 64;
const HANGS: Duration = Duration::from_secs(5);
/// A partition takes 100 messages.
const HOT: usize = 80;
const HOT_TAKES: Duration = Duration::from_millis(200);
/// Messages in a second, and for how long: no longer than the calls hang.
const RATE: f64 = 60.0;
const TIME: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(8);

/// The other work beside the messages.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beside {
    Nothing,
    Hanging,
    HotKey,
}

pub(super) async fn measure(report: &mut Report, bench: &Bench<'_>) -> Result<()> {
    report.next("flow: neighbours");
    let mut all = Waits::default();
    for _ in 0..bench.rounds {
        let site = bench.site(Setup { neighbour: true, ..Setup::default() }).await?;
        let measured = while_running(&site, async {
            all.alone.push(messages(&site, Beside::Nothing).await?);
            all.hot.push(messages(&site, Beside::HotKey).await?);
            all.hanging.push(messages(&site, Beside::Hanging).await?);
            Ok(())
        });
        measured.await?;
    }
    for (percent, target) in [(50, None), (95, Some(Target::AtMost(1.2)))] {
        let at = |rounds: &[Vec<Duration>]| {
            rounds.iter().map(|waits| percentile(waits, percent)).collect::<Result<Vec<_>>>()
        };
        let mut beside = |what: &str, waits| {
            let what = format!("from broker to call beside {what}: p{percent}");
            report.beside(what, "ms", at(waits)?, "alone", at(&all.alone)?, target)
        };
        beside("64 calls that hang for 5 s", &all.hanging)?;
        beside("a hot key, of other keys", &all.hot)?;
    }
    Ok(())
}

/// How long each message waited, by round.
#[derive(Default)]
struct Waits {
    alone: Vec<Vec<Duration>>,
    hot: Vec<Vec<Duration>>,
    hanging: Vec<Vec<Duration>>,
}

/// How long each message waited, in one round.
async fn messages(site: &Site, beside: Beside) -> Result<Vec<Duration>> {
    let neighbour = site.neighbour.as_ref().context("no neighbour")?;
    let (kind, count) = match beside {
        Beside::Nothing => (Kind::Ticket, 0),
        Beside::Hanging => (Kind::Neighbour, HANGING),
        Beside::HotKey => (Kind::Hot, HOT),
    };
    neighbour.takes(HANGS);
    site.third_party.takes_for_hot_key(HOT_TAKES);
    // The commands of a hot key are all in the first partition; those whose calls hang are in all partitions.
    let partition = |number: usize| if beside == Beside::HotKey { 0 } else { number };
    let ids: Vec<_> = (0..count).map(|number| (site.id(), partition(number))).collect();
    let produce = async |(id, partition): &(String, usize)| site.produce_one(kind, id, *partition).await;
    stream::iter(&ids).map(Ok).try_for_each_concurrent(HANGING, produce).await?;
    let since = load::produce(site, RATE, TIME, 1).await;
    let waited = load::waited(&site.third_party, &since, PATIENCE).await;
    if beside == Beside::HotKey {
        // The next round must not meet the rest of this queue.
        for (id, _) in &ids {
            site.third_party.called(id, PATIENCE).await;
        }
        sleep(HOT_TAKES).await;
    }
    Ok(waited)
}
