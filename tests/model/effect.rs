//! An effect: its record in the table, and its entry in the third party's ledger. A time is stored as the ticks until then.

/// An effect's index.
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

/// An effect's record in the table.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Record {
    pub(super) status: Status,
    /// Counted at each claim, up to one more than the budget.
    pub(super) attempt: u8,
    /// The `attempt_id` of the attempt in progress; 0 if there is none.
    pub(super) holder: u8,
    /// Ticks until `lease_until`; 0 has passed by every clock.
    pub(super) lease: i8,
    pub(super) doubt: bool,
    /// The attempts that its command on the agenda counts; none if it is not there. In progress, it is due when the lease
    /// ends; otherwise at any time.
    pub(super) due: Option<u8>,
    /// Whether it is due even before the lease ends.
    pub(super) early: bool,
    /// Ticks until the end of the window that began with `first_attempt_at` ends; -1 has passed by every clock.
    pub(super) window: i8,
}

/// An effect's entry in the third party's ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Ledger {
    /// How often it was applied, up to 2.
    pub(super) applied: u8,
    /// How long the key is still remembered.
    pub(super) memory: i8,
    /// A call whose caller has given up may still be applied.
    pub(super) late: bool,
}
