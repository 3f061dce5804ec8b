//! The state of each broker's stream. Kept between invocations, to know since when a broker is unreachable.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;

use super::{RunError, reader::Read};
use crate::effects::runs::{Stands, StreamState};

/// The streams, by the broker's name.
#[derive(Debug, Default)]
pub(super) struct Streams(Mutex<BTreeMap<String, Stands>>);

impl Streams {
    /// Records that a broker is about to be read. An unreachable one counts as such until it has been read.
    pub(super) fn begin(&self, broker: &str) {
        let mut streams = self.lock();
        match streams.get_mut(broker) {
            Some(Stands::Unreachable { .. }) => {}
            Some(stands) => *stands = Stands::Reading,
            None => drop(streams.insert(broker.to_owned(), Stands::Reading)),
        }
    }

    /// Records that a broker is no longer read in this run.
    pub(super) fn end(&self, broker: &str, read: &Result<Read, RunError>, now: Timestamp) {
        let mut streams = self.lock();
        let before = streams.get(broker).copied();
        let stands = match (read, before) {
            (Ok(Read::Stopped | Read::Requested), _) => Stands::Drained,
            (Ok(Read::Busy), _) => Stands::Busy,
            (Err(RunError::Broker(_)), Some(unreachable @ Stands::Unreachable { .. })) => unreachable,
            (Err(RunError::Broker(_)), _) => Stands::Unreachable { since: now },
            (Err(RunError::Table(_) | RunError::LeaseLost), _) => Stands::NoLease,
        };
        streams.insert(broker.to_owned(), stands);
    }

    /// The states of all streams.
    pub(super) fn states(&self) -> Vec<StreamState> {
        let state =
            |(broker, stands): (&String, &Stands)| StreamState { broker: broker.clone(), stands: *stands };
        self.lock().iter().map(state).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Stands>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use driftq_client::Error;

    use super::*;

    #[test]
    fn a_broker_is_unreachable_since_the_first_run_that_found_it_so() {
        let (streams, first) = (Streams::default(), Timestamp::UNIX_EPOCH);
        let later = first + jiff::SignedDuration::from_secs(60);
        let stands = || streams.states()[0].stands;
        let unreachable = || Err(RunError::Broker(Error::Interrupted(None)));
        streams.begin("b");
        assert_eq!(stands(), Stands::Reading);
        streams.end("b", &unreachable(), first);
        streams.begin("b");
        assert_eq!(stands(), Stands::Unreachable { since: first }, "not yet known to be back");
        streams.end("b", &unreachable(), later);
        assert_eq!(stands(), Stands::Unreachable { since: first });
        streams.end("b", &Ok(Read::Stopped), later);
        streams.end("b", &unreachable(), later);
        assert_eq!(stands(), Stands::Unreachable { since: later });
    }
}
