//! The outcome of an attempt: before it is recorded, and after.

use super::destinations::Place;
use crate::{
    command::Command,
    effects::{Settled, record::Receipt, row::Row},
    outcome::NotApplied,
};

/// The outcome of an attempt, before it is recorded.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Applied by the third party.
    Done(Receipt),
    /// It is not known to have succeeded.
    NotApplied(NotApplied),
    /// An operator has to decide.
    Park(String),
    /// Its condition does not hold.
    Skip(String),
    /// Not yet known: an item must be written, together with the effect's end.
    Write(Box<PreparedRow>),
}

/// How an attempt ended, with the commands that have begun.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) settled: Settled,
    /// The commands that have begun.
    pub(super) begun: Vec<Command>,
}

impl From<Settled> for Ended {
    fn from(settled: Settled) -> Self {
        Self { settled, begun: Vec::new() }
    }
}

/// An item to be written, and the receipt that is then recorded.
#[derive(Debug)]
pub(super) struct PreparedRow {
    pub(super) row: Row,
    pub(super) receipt: Receipt,
    pub(super) place: Place,
}
