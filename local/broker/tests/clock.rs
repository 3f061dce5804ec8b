//! A broker with a simulated clock: no test with it waits.

use jiff::{SignedDuration, Timestamp};

use super::super::delivery::StreamId;
use super::super::message::{Envelope, Message, RetryPolicy};
use super::super::profile::Profile;
use super::super::record::Record;
use super::super::refusal::Refusal;
use super::super::state::{Receipt, State};

/// A broker with topic `t` and a manual clock.
pub(super) struct Clock {
    pub(super) state: State,
    pub(super) now: Timestamp,
    pub(super) records: Vec<Record>,
}

/// A delivery: the stream's number, offset, attempts, last error.
pub(super) type Said = (u64, i64, i64, String);

impl Clock {
    pub(super) fn new() -> Self {
        Self::of(Profile::G0)
    }

    pub(super) fn of(profile: Profile) -> Self {
        let mut state = State::new(profile, 1);
        state.create_topic("t", 1).unwrap();
        Self { state, now: Timestamp::UNIX_EPOCH + SignedDuration::from_hours(500_000), records: Vec::new() }
    }

    pub(super) fn produce(&mut self, value: &str, envelope: Option<Envelope>) -> Result<(), Refusal> {
        let message = Message { value: value.to_owned(), envelope, ..Message::default() };
        if let Some(key) = self.state.produce(self.now, "t", message)? {
            self.state.produced(self.now, &key);
        }
        Ok(())
    }

    pub(super) fn consume(&mut self, owner: &str, lease_ms: i64) -> StreamId {
        let lease = SignedDuration::from_millis(lease_ms);
        self.state.subscribe(self.now, "t", "g", owner, lease).unwrap()
    }

    pub(super) fn receipt(owner: &str, offset: i64) -> Receipt {
        Receipt { topic: "t".into(), group: "g".into(), owner: owner.into(), partition: 0, offset }
    }

    pub(super) fn ack(&mut self, owner: &str, offset: i64) -> Result<(), Refusal> {
        self.state.ack(self.now, &Self::receipt(owner, offset))
    }

    pub(super) fn nack(&mut self, owner: &str, offset: i64, reason: &str) -> Result<(), Refusal> {
        self.state.nack(self.now, &Self::receipt(owner, offset), reason)
    }

    pub(super) fn sleep(&mut self, ms: i64) {
        self.now += SignedDuration::from_millis(ms);
    }

    /// The deliveries since the last call, by offset.
    pub(super) fn delivered(&mut self) -> Vec<Said> {
        let effects = self.state.take_effects();
        self.records.extend(effects.records);
        let said = effects.deliveries.into_iter();
        let mut said: Vec<Said> =
            said.map(|sent| (sent.to.0, sent.message.offset, sent.attempts, sent.last_error)).collect();
        said.sort();
        said
    }

    /// Ticks until something is delivered, for at most a minute: the time it took, and the deliveries.
    pub(super) fn tick_until_delivered(&mut self) -> (i64, Vec<Said>) {
        let start = self.now;
        let tick = self.state.profile.tick.as_millis() as i64;
        loop {
            self.sleep(tick);
            self.state.redeliver(self.now);
            let said = self.delivered();
            let ms = self.now.duration_since(start).as_millis() as i64;
            if !said.is_empty() || ms > 60_000 {
                return (ms, said);
            }
        }
    }
}

/// An expected delivery.
pub(super) fn said(stream: u64, offset: i64, attempts: i64, last_error: &str) -> Said {
    (stream, offset, attempts, last_error.to_owned())
}

/// An envelope with a retry policy.
pub(super) fn retry(max_attempts: i64, backoff_ms: i64, max_backoff_ms: i64) -> Option<Envelope> {
    let retry_policy = Some(RetryPolicy { max_attempts, backoff_ms, max_backoff_ms });
    Some(Envelope { retry_policy, ..Envelope::default() })
}
