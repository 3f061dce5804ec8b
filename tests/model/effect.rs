//! An effect: its record in the table, and what the third party knows of it. Times are what is left of them, in ticks.

/// Which effect.
pub(super) type Which = usize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Status {
    Absent,
    Pending,
    InProgress,
    Waiting,
    Done,
    Parked,
}

/// An effect's record.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Record {
    pub(super) status: Status,
    /// Counted at each claim, up to one over the budget.
    pub(super) attempt: u8,
    /// The `attempt_id` that it bears while it is in progress; 0 otherwise.
    pub(super) holder: u8,
    /// What is left of `lease_until`; 0 is over by every clock.
    pub(super) lease: i8,
    pub(super) doubt: bool,
    /// On the agenda, with a command that counts so many attempts. While an attempt is at work it comes due when that one's
    /// lease ends, and else at any time.
    pub(super) due: Option<u8>,
    /// It has come due sooner than that.
    pub(super) early: bool,
    /// What is left of the window since `first_attempt_at`; -1 is over by every clock.
    pub(super) window: i8,
}

/// What the third party knows of an effect.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Ledger {
    pub(super) applied: u8,
    /// How long it will remember the key.
    pub(super) memory: i8,
    /// A call whose caller has given up may yet land.
    pub(super) late: bool,
}
