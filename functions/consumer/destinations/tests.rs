//! These tests use the real clock and wait for a second or two.

use std::num::NonZeroU32;

use super::*;
use crate::{config::rate::Rate, effects::runs::Breaker};

fn destination(in_flight: u32, rate: Option<Rate>) -> Arc<Destination> {
    let in_flight = NonZeroU32::new(in_flight).unwrap();
    Arc::new(Destination::new(Limits { in_flight, rate, ..Limits::default() }, "api.example.com".to_owned()))
}

async fn fail(destination: &Arc<Destination>, times: usize) {
    for _ in 0..times {
        destination.place_for_message().await.unwrap().report(Health::Failing);
    }
}

#[tokio::test]
async fn a_message_waits_for_a_place_but_not_for_long() {
    let destination = destination(1, None);
    let first = destination.place_for_message().await.unwrap();
    let began = Instant::now();
    assert_eq!(destination.place_for_message().await.err(), Some(NoPlace::Busy));
    assert!(began.elapsed() >= MESSAGE_WAITS);
    drop(first);
    assert!(destination.place_for_message().await.is_ok());
}

#[tokio::test]
async fn a_message_does_not_wait_for_a_slow_destination() {
    let destination = destination(1, None);
    let mut first = destination.place_for_message().await.unwrap();
    first.slow();
    let began = Instant::now();
    assert_eq!(destination.place_for_message().await.err(), Some(NoPlace::Busy));
    drop(first);
    assert!(destination.is_slow(), "and for a while after that");
    assert!(destination.place_for_message().await.is_ok(), "a free place is taken all the same");
    assert!(began.elapsed() < MESSAGE_WAITS / 2);
    tokio::time::sleep(SLOW_FOR).await;
    assert!(!destination.is_slow());
}

#[tokio::test]
async fn messages_and_what_is_due_are_served_as_they_come() {
    let destination = destination(1, None);
    let first = destination.place_for_message().await.unwrap();
    let due = tokio::spawn({
        let destination = Arc::clone(&destination);
        async move { destination.place_for_due().await.map(|_| Instant::now()) }
    });
    tokio::task::yield_now().await;
    let message = tokio::spawn({
        let destination = Arc::clone(&destination);
        async move { destination.place_for_message().await.map(|_| Instant::now()) }
    });
    tokio::task::yield_now().await;
    drop(first);
    let [due, message] = [due.await.unwrap().unwrap(), message.await.unwrap().unwrap()];
    assert!(due <= message);
}

#[tokio::test]
async fn failures_close_it_and_one_probe_opens_it_again() {
    let destination = destination(8, None);
    fail(&destination, 5).await;
    let until = destination.closed_until().unwrap();
    assert_eq!(destination.place_for_message().await.err(), Some(NoPlace::Closed { until }));
    tokio::time::sleep_until(until).await;
    assert!(destination.is_probing());
    let mut probe = destination.place_for_message().await.unwrap();
    assert!(matches!(destination.place_for_message().await, Err(NoPlace::Closed { .. })), "one at a time");
    probe.report(Health::Well);
    assert_eq!((destination.closed_until(), destination.is_probing()), (None, false));
    assert_eq!(destination.openings.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_probe_that_was_not_made_leaves_room_for_another() {
    let destination = destination(8, None);
    fail(&destination, 5).await;
    tokio::time::sleep_until(destination.closed_until().unwrap()).await;
    drop(destination.place_for_message().await.unwrap());
    assert!(destination.place_for_message().await.is_ok());
}

#[tokio::test]
async fn retry_after_pauses_the_destination() {
    let destination = destination(8, None);
    let pause = Duration::from_millis(700);
    let asked = Instant::now();
    destination.place_for_message().await.unwrap().report(Health::AskedForPause(pause));
    let until = destination.closed_until().unwrap();
    assert!(until >= asked + pause);
    assert_eq!(destination.place_for_message().await.err(), Some(NoPlace::Closed { until }));
    tokio::time::sleep_until(until).await;
    assert!(destination.place_for_message().await.is_ok());
}

#[tokio::test]
async fn a_pause_passes_while_the_function_is_frozen() {
    let configured = destination(8, None);
    let destinations = Destinations(Arc::new(BTreeMap::from([("host".to_owned(), configured.clone())])));
    configured.place_for_message().await.unwrap().report(Health::AskedForPause(Duration::from_secs(60)));
    destinations.advance(Duration::from_secs(30));
    assert!(configured.closed_until().is_some());
    destinations.advance(Duration::from_secs(30));
    assert_eq!(configured.closed_until(), None);
}

#[tokio::test]
async fn calls_begin_at_the_configured_rate() {
    let [per_second, burst] = [4, 2].map(|n| NonZeroU32::new(n).unwrap());
    let destination = destination(8, Some(Rate { per_second, burst }));
    let began = Instant::now();
    for earliest in [0, 0, 250, 500] {
        drop(destination.place_for_due().await.unwrap());
        assert!(began.elapsed() >= Duration::from_millis(earliest));
    }
}

#[tokio::test]
async fn what_is_in_flight_waits_and_is_closed_is_shown() {
    let configured = destination(1, None);
    let destinations = Destinations(Arc::new(BTreeMap::from([("host".to_owned(), configured.clone())])));
    let shown = || destinations.states(jiff::Timestamp::now()).remove(0);
    let counts = || (shown().in_flight, shown().waiting, shown().limit);
    let place = configured.place_for_message().await.unwrap();
    let waiting = tokio::spawn({
        let configured = Arc::clone(&configured);
        async move { drop(configured.place_for_due().await) }
    });
    tokio::task::yield_now().await;
    assert_eq!(counts(), (1, 1, 1));
    waiting.abort();
    assert!(waiting.await.is_err());
    assert_eq!(counts(), (1, 0, 1), "a caller that gives up waits no longer");
    drop(place);
    assert_eq!((counts(), shown().breaker), ((0, 0, 1), Breaker::Closed));

    let began = jiff::Timestamp::now();
    fail(&configured, 5).await;
    let Breaker::Open { since, until } = shown().breaker else { panic!("{:?}", shown()) };
    assert!(began <= since && since < until);
    tokio::time::sleep_until(configured.closed_until().unwrap()).await;
    let mut probe = configured.place_for_message().await.unwrap();
    let Breaker::Probing { since: still } = shown().breaker else { panic!("{:?}", shown()) };
    assert!(still.duration_since(since).abs() < jiff::SignedDuration::from_secs(1));
    probe.report(Health::AskedForPause(Duration::from_secs(60)));
    assert!(shown().breaker == Breaker::Closed && shown().paused_until.is_some());
}
