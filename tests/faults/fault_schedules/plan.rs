//! The schedule of faults: generated from a seed before anything starts.

use std::time::Duration;

use local::{http::Answer, lambda_api::failure};

use crate::crash_matrix::Moment;

/// SplitMix64: a sequence of numbers determined by the seed.
#[derive(Debug, Clone)]
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).unwrap_or_default()
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    fn millis(&mut self, from: usize, to: usize) -> Duration {
        Duration::from_millis((from + self.below(to - from)) as u64)
    }
}

/// A fault proxy between the functions and a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum On {
    /// A broker's, by number.
    Broker(usize),
    Table,
    /// To Lambda's Invoke; unused where ingest does not wake the consumer.
    Lambda,
}

/// The settings of a schedule.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting {
    /// The brokers are of a newer generation.
    pub(super) is_newer: bool,
    pub(super) brokers: usize,
    /// Ingest wakes the consumer.
    pub(super) has_wake_ups: bool,
    /// Every command is also written to the table.
    pub(super) has_journal: bool,
}

/// A fault for a request of a function to a service.
#[derive(Debug, Clone, Copy)]
pub(super) enum RequestFault {
    /// DynamoDB and Lambda throttle, the broker is full.
    Busy,
    Status(u16),
    CutBefore,
    CutAfter,
    /// It is processed, and answered after a delay.
    AnsweredLate(Duration),
    /// It is processed after a delay.
    Late(Duration),
    /// Every consumer is killed, whichever process made the request.
    Kill(Moment),
}

/// A behaviour of the third party for a call.
#[derive(Debug, Clone, Copy)]
pub(super) enum Manner {
    Refuse(u16),
    /// It asks for a pause of one second.
    Pause,
    /// It is applied, and the status denies it.
    Lie(u16),
    Cut,
    CutOnceApplied,
    HangOnceApplied,
    AnswerLate(Duration),
    /// It is applied, and the consumer is killed before the response.
    Kill,
}

/// One fault.
#[derive(Debug, Clone, Copy)]
pub(super) enum Trouble {
    KillConsumer,
    KillIngest,
    /// By number.
    RestartBroker(usize),
    /// Cuts every connection of that fault proxy.
    Sever(On),
    /// The next requests through that fault proxy, and how many of them.
    Requests(On, RequestFault, usize),
    /// The next calls of that step, by its position among the steps, or its look-ups.
    ThirdParty(usize, Manner),
    /// Another run begins during a run.
    SecondConsumer,
}

/// A schedule.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) setting: Setting,
    /// When each webhook is delivered, by number. Some are delivered twice.
    pub(super) deliveries: Vec<(Duration, usize)>,
    pub(super) troubles: Vec<(Duration, Trouble)>,
}

impl Plan {
    /// This many webhooks within `lasting`, with faults all the time. `paths`: the number of the third party's paths.
    pub(super) fn draw(seed: u64, webhooks: usize, lasting: Duration, paths: usize) -> Self {
        let dice = &mut Dice(seed);
        let setting = Setting::draw(seed, dice);
        let span = lasting.as_millis() as usize;
        let mut deliveries: Vec<_> = (0..webhooks).map(|number| (dice.millis(0, span), number)).collect();
        for _ in 0..webhooks / 3 {
            deliveries.push((dice.millis(0, span), dice.below(webhooks)));
        }
        let mut troubles = Vec::new();
        let mut at = Duration::ZERO;
        while at < lasting {
            troubles.push((at, Trouble::draw(dice, setting.brokers, paths)));
            at += dice.millis(20, 400);
        }
        Self { setting, deliveries, troubles }
    }
}

impl Setting {
    /// Consecutive seeds have brokers of different generations.
    fn draw(seed: u64, dice: &mut Dice) -> Self {
        Self {
            is_newer: seed % 2 == 1,
            brokers: 1 + dice.below(2),
            has_wake_ups: dice.below(2) == 0,
            has_journal: dice.below(4) == 0,
        }
    }
}

impl Trouble {
    fn draw(dice: &mut Dice, brokers: usize, paths: usize) -> Self {
        let broker = dice.below(brokers);
        match dice.below(22) {
            0 | 1 => Self::KillConsumer,
            2 => Self::KillIngest,
            3 => Self::RestartBroker(broker),
            4 => Self::Sever(dice.of(&[On::Broker(broker), On::Table, On::Lambda])),
            5 => Self::SecondConsumer,
            6..=9 => Self::Requests(On::Table, RequestFault::draw(dice), 1 + dice.below(6)),
            10..=12 => Self::Requests(On::Broker(broker), RequestFault::draw(dice), 1 + dice.below(3)),
            13 => Self::Requests(On::Lambda, RequestFault::draw(dice), 1 + dice.below(3)),
            _ => Self::ThirdParty(dice.below(paths), Manner::draw(dice)),
        }
    }
}

impl RequestFault {
    fn draw(dice: &mut Dice) -> Self {
        match dice.below(8) {
            0 | 1 => Self::Busy,
            2 => Self::Status(dice.of(&[500, 503])),
            3 => Self::CutBefore,
            4 => Self::CutAfter,
            5 => Self::AnsweredLate(dice.millis(100, 2500)),
            6 => Self::Late(dice.millis(100, 2500)),
            _ => Self::Kill(dice.of(&Moment::ALL)),
        }
    }

    /// The response that is sent instead of the service's, if the fault is one.
    pub(super) fn answer(self, on: On) -> Option<Answer> {
        match (self, on) {
            (Self::Busy, On::Table) => Some(Answer::throttled()),
            (Self::Busy, On::Broker(_)) => Some(Answer::partition_full()),
            (Self::Busy, On::Lambda) => Some(failure(429, "TooManyRequestsException", "Rate exceeded")),
            (Self::Status(status), _) => Some(Answer::status(status)),
            _ => None,
        }
    }
}

impl Manner {
    fn draw(dice: &mut Dice) -> Self {
        match dice.below(10) {
            0 | 1 => Self::Refuse(dice.of(&[429, 500, 503])),
            2 => Self::Lie(dice.of(&[500, 503])),
            3 => Self::Cut,
            4 => Self::CutOnceApplied,
            5 => Self::HangOnceApplied,
            6 => Self::AnswerLate(dice.millis(100, 1500)),
            7 => Self::Pause,
            _ => Self::Kill,
        }
    }
}
