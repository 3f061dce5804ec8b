//! Acks in flight. An ack without a response is sent again on the same stream: its partition depends on it, and a lost ack would block the
//! partition until the messages' lease expires.

use std::time::Duration;

use driftq_client::{AckToken, Acked, Client, Error, Unacked};
use tokio::{task::JoinSet, time::sleep};
use tracing::Instrument as _;

use super::ack_order::AckRun;
use crate::effects::Settled;

const TIMEOUT: Duration = Duration::from_secs(1);
/// The pause before a failed ack is repeated.
const PAUSE: Duration = Duration::from_millis(100);

/// What an ack needs.
pub(super) type Ack = (AckToken, Settled);

/// Acks in flight: at most one cumulative ack per partition, or one single ack per message.
#[derive(Debug)]
pub(super) struct Acks {
    broker: Client<Settled>,
    sent: JoinSet<Sent>,
}

/// How messages are acked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AckMode {
    /// A single message. Only with a proof that nothing lower is in flight elsewhere.
    One,
    /// All messages of the run, if the broker itself finds that nothing lower is in flight elsewhere.
    Through,
}

/// The result of an ack, with its partition and messages.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) partition: u32,
    pub(super) offsets: Vec<u64>,
    pub(super) outcome: AckOutcome,
}

/// The result of an ack.
#[derive(Debug)]
pub(super) enum AckOutcome {
    /// The messages have left the queue.
    Acked,
    /// They no longer belonged to this stream.
    Gone,
    /// Not possible yet: try again.
    Wait(AckRun<Ack>),
    /// Not possible on this stream. The messages are settled and will be redelivered as duplicates.
    Refused(Error),
}

impl Acks {
    pub(super) fn new(broker: Client<Settled>) -> Self {
        Self { broker, sent: JoinSet::new() }
    }

    /// Sends an ack.
    pub(super) fn send(&mut self, run: AckRun<Ack>, how: AckMode) {
        let broker = self.broker.clone();
        let sending = async move {
            let AckRun { partition, messages } = run;
            let (offsets, messages): (Vec<_>, Vec<_>) = messages.into_iter().unzip();
            let outcome = match send(&broker, messages, how, partition).await {
                Ok(outcome) => outcome,
                Err(waiting) => {
                    sleep(PAUSE).await;
                    let messages = offsets.iter().copied().zip(waiting).collect();
                    AckOutcome::Wait(AckRun { partition, messages })
                }
            };
            Sent { partition, offsets, outcome }
        };
        self.sent.spawn(Box::pin(sending).in_current_span());
    }

    /// The next result.
    pub(super) async fn next(&mut self) -> Option<Sent> {
        self.sent.join_next().await?.ok()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    /// Stops: no more acks are sent.
    pub(super) fn stop(&mut self) {
        self.sent.abort_all();
    }
}

/// Sends an ack until there is a response, and returns what must be tried again.
async fn send(
    broker: &Client<Settled>,
    mut messages: Vec<Ack>,
    how: AckMode,
    partition: u32,
) -> Result<AckOutcome, Vec<Ack>> {
    let mut is_again = false;
    loop {
        let answer = match how {
            AckMode::Through => broker.ack_through(messages, TIMEOUT).await,
            AckMode::One => match messages.pop() {
                Some((token, settled)) => broker.ack(token, settled, TIMEOUT).await,
                None => return Ok(AckOutcome::Gone),
            },
        };
        let Unacked { error, messages: unacked } = match answer {
            Ok(Acked::Done) => return Ok(AckOutcome::Acked),
            // The first ack was carried out.
            Ok(Acked::Gone) if is_again => return Ok(AckOutcome::Acked),
            Ok(Acked::Gone) => return Ok(AckOutcome::Gone),
            Err(unacked) => unacked,
        };
        match error {
            // The first ack may have been carried out. The messages are settled, so nothing has to wait for them.
            Error::HeldElsewhere { .. } | Error::Unsupported if is_again => {
                return Ok(AckOutcome::Refused(error));
            }
            Error::HeldElsewhere { .. } | Error::Unsupported => return Err(unacked),
            error if error.is_no_answer() => {
                if !is_again {
                    tracing::warn!(partition, %error, "an ack got no answer; sending it again");
                }
                (is_again, messages) = (true, unacked);
                sleep(PAUSE).await;
            }
            error => return Ok(AckOutcome::Refused(error)),
        }
    }
}
