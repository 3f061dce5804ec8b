//! A backlog of due records: how fast it is worked off, alone and beside messages that come at 38 % of the drain's pace;
//! and how long records wait that fall due meanwhile.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use tokio::time::sleep;

use super::{
    super::{
        super::measure::cpu_time,
        drain::{Drained, drained},
        plain,
        recorded::Kind,
        report::{Report, Target},
        site::{Setup, Site, per_second},
        third_party::Call,
    },
    Bench, load, percentile, row, while_running,
};

const SIZES: [usize; 2] = [10_000, 40_000];
const LOAD: f64 = 0.38;
const SLOW: Duration = Duration::from_millis(200);
/// The start of a run, which is left out, and the time after it, which is measured. No backlog is worked off to its end:
/// one of 40,000 would take minutes.
const START: Duration = Duration::from_secs(1);
const WINDOW: Duration = Duration::from_secs(6);
/// A drain with a slow third party takes 4 s.
const DRAINED: usize = 1280;
/// How many due records a plain client works on, beside the backlog.
const PLAIN: usize = 4_000;
/// How many records fall due meanwhile, per second.
const RATE: u32 = 20;

pub(super) async fn measure(report: &mut Report, bench: &Bench<'_>) -> Result<()> {
    for (pause, third_party) in [(Duration::ZERO, "at once"), (SLOW, "after 200 ms")] {
        for size in SIZES {
            for loaded in [false, true] {
                let load = if loaded { ", at 38 % load" } else { "" };
                let what = format!("{size} due, the third party answers {third_party}{load}");
                report.next(&format!("flow: {what}"));
                let Worked { drain, table, paces, cpu_ms, waited } =
                    worked(bench, size, pause, loaded).await?;
                let (beside, bound) = match loaded {
                    false => ("the drain of messages", drain.per_second),
                    true => ("what the load leaves of the drain", drain.per_second - paces.load),
                };
                let target = Some(Target::AtLeast(0.8));
                report.beside(what.clone(), "/s", vec![paces.backlog], beside, vec![bound], target)?;
                if let Some(table) = table {
                    let bound = "the two writes of what is due";
                    report.beside(what.clone(), "/s", vec![paces.backlog], bound, vec![table], None)?;
                }
                if !loaded {
                    let what = format!("{what}: CPU time of the consumer's process per record");
                    report.beside(what, "ms", vec![cpu_ms], "per message", vec![drain.cpu_ms], None)?;
                }
                let behind = format!("{what}: the longest wait of another step's due");
                row(report, &behind, "ms", percentile(&waited, 100)?, 1000.0)?;
            }
        }
        let what = format!("the third party answers {third_party}, at 38 % load: the oldest due");
        report.next(&format!("flow: {what}"));
        row(report, &what, "ms", oldest(bench, pause).await?, 2000.0)?;
    }
    Ok(())
}

/// The figures of a backlog.
struct Worked {
    /// A drain of messages for the same third party.
    drain: Drained,
    /// For how many due records per second the table takes both writes; measured where that can be the bound.
    table: Option<f64>,
    paces: Paces,
    /// CPU time of the consumer's process per call.
    cpu_ms: f64,
    /// How long the records waited that fell due for another third party.
    waited: Vec<Duration>,
}

/// Calls per second.
struct Paces {
    backlog: f64,
    load: f64,
}

async fn worked(bench: &Bench<'_>, size: usize, pause: Duration, loaded: bool) -> Result<Worked> {
    let site = bench.site(Setup { neighbour: true, ..Setup::default() }).await?;
    let drain = drain(&site, pause).await?;
    let ids = defer(&site, size).await?;
    let table = if loaded || !pause.is_zero() {
        None
    } else {
        Some(plain::due_writes_ceiling(&site, &defer(&site, PLAIN).await?).await?)
    };
    let ids: HashSet<_> = ids.into_iter().collect();
    let neighbour = site.neighbour.as_ref().context("no neighbour")?;
    let due = load::defer(&site, Kind::Neighbour, RATE, START, WINDOW).await?;
    drop(site.third_party.take_calls());

    let before = cpu_time(&site.stack.consumer)?;
    let work = async {
        let paces = match loaded {
            false => paces(&site, &ids).await?,
            true => {
                let load = load::produce(&site, drain.per_second * LOAD, START + WINDOW, 0);
                let (paces, load) = tokio::join!(paces(&site, &ids), load);
                ensure!(!load.is_empty(), "the broker took nothing");
                paces?
            }
        };
        let cpu = cpu_time(&site.stack.consumer)?.saturating_sub(before);
        let calls = f64::from(u32::try_from(site.third_party.calls().len())?);
        Ok((paces, cpu.as_secs_f64() * 1e3 / calls, load::waited(neighbour, &due, START).await))
    };
    let (paces, cpu_ms, waited) = while_running(&site, work).await?;
    Ok(Worked { drain, table, paces, cpu_ms, waited })
}

/// Puts this many commands on the agenda, due now, and returns their ids.
async fn defer(site: &Site, count: usize) -> Result<Vec<String>> {
    let now = Timestamp::now().as_millisecond();
    let all: Vec<_> = (0..count).map(|_| (site.id(), now)).collect();
    site.defer(Kind::Ticket, &all).await?;
    Ok(all.into_iter().map(|(id, _)| id).collect())
}

async fn drain(site: &Site, pause: Duration) -> Result<Drained> {
    site.third_party.takes(pause);
    let count = if pause.is_zero() { site.room()? } else { site.room()?.min(DRAINED) };
    drained(site, count).await
}

/// The paces of the calls in the window, or until the backlog is at its end.
async fn paces(site: &Site, backlog: &HashSet<String>) -> Result<Paces> {
    let since = Instant::now();
    let is_of_backlog = |call: &&Call| backlog.contains(&call.id);
    loop {
        sleep(Duration::from_millis(100)).await;
        let calls = site.third_party.calls();
        let worked = calls.iter().filter(is_of_backlog).count();
        if worked < backlog.len() && since.elapsed() < START + WINDOW {
            continue;
        }
        let (from, until) = (since + START, calls.iter().filter(is_of_backlog).map(|call| call.at).max());
        let until = until.context("nothing that was due was called")?;
        let inside = calls.iter().filter(|call| call.at >= from && call.at <= until);
        let (backlog, load): (Vec<&Call>, Vec<&Call>) = inside.partition(is_of_backlog);
        let time = until.saturating_duration_since(from);
        return Ok(Paces { backlog: per_second(backlog.len(), time)?, load: per_second(load.len(), time)? });
    }
}

/// The longest time that a due record had to wait, in milliseconds, while some fall due all the time.
async fn oldest(bench: &Bench<'_>, pause: Duration) -> Result<f64> {
    let site = bench.site(Setup::default()).await?;
    let drain = drain(&site, pause).await?;
    let due = load::defer(&site, Kind::Ticket, RATE, START, WINDOW).await?;
    let work = async {
        load::produce(&site, drain.per_second * LOAD, START + WINDOW, 0).await;
        Ok(load::waited(&site.third_party, &due, START * 3).await)
    };
    percentile(&while_running(&site, work).await?, 100)
}
