//! Commands at a steady rate.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use anyhow::Result;
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use tokio::time::sleep_until;

use super::super::{
    recorded::Kind,
    site::Site,
    third_party::{Call, ThirdParty},
};

/// How many requests are under way.
const AT_ONCE: usize = 32;

/// When each id was to be acted on.
pub(super) type Since = HashMap<String, Instant>;

/// Produces `rate` commands per second for that time, spread over the partitions from `first` on. Returns when the
/// broker accepted each. A refused command is left out: ingest would put it on the agenda.
pub(super) async fn produce(site: &Site, rate: f64, time: Duration, first: usize) -> Since {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some thousands at the most")]
    let count = (rate * time.as_secs_f64()) as u32;
    let (since, rooms) = (Instant::now(), site.partitions - first);
    let one = async |number: u32| {
        sleep_until((since + Duration::from_secs_f64(f64::from(number) / rate)).into()).await;
        let id = site.id();
        let partition = first + number as usize % rooms;
        let taken = site.produce_one(Kind::Ticket, &id, partition).await;
        taken.ok().map(|()| (id, Instant::now()))
    };
    stream::iter(0..count).map(one).buffer_unordered(AT_ONCE).filter_map(async |taken| taken).collect().await
}

/// Puts `rate` commands per second on the agenda, due from `after` on for that time. Returns when each falls due.
pub(super) async fn defer(
    site: &Site,
    kind: Kind,
    rate: u32,
    after: Duration,
    time: Duration,
) -> Result<Since> {
    let (now, now_ms) = (Instant::now(), Timestamp::now().as_millisecond());
    let count = rate * u32::try_from(time.as_secs())?;
    let offset = |number: u32| after + Duration::from_secs(1) * number / rate;
    let all: Vec<_> = (0..count).map(|number| (site.id(), offset(number))).collect();
    let due = |(id, offset): &(String, Duration)| {
        anyhow::Ok((id.clone(), now_ms + i64::try_from(offset.as_millis())?))
    };
    site.defer(kind, &all.iter().map(due).collect::<Result<Vec<_>>>()?).await?;
    Ok(all.into_iter().map(|(id, offset)| (id, now + offset)).collect())
}

/// How long each command had to wait, once all were called or `patience` is over. A command that was not called has
/// waited until then.
pub(super) async fn waited(third_party: &ThirdParty, since: &Since, patience: Duration) -> Vec<Duration> {
    let until = Instant::now() + patience;
    for id in since.keys() {
        third_party.called(id, until.saturating_duration_since(Instant::now())).await;
    }
    let calls = third_party.calls();
    let calls: HashMap<&str, Instant> = calls.iter().map(|Call { id, at }| (id.as_str(), *at)).collect();
    let now = Instant::now();
    let called = |id: &String| calls.get(id.as_str()).copied().unwrap_or(now);
    since.iter().map(|(id, since)| called(id).saturating_duration_since(*since)).collect()
}
