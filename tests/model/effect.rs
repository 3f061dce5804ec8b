//! An effect: its record in the table, and what the third party knows of it. A time is what is left of it, in ticks.

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
    /// Until `lease_until`; 0 has passed by every clock.
    pub(super) lease: i8,
    pub(super) doubt: bool,
    /// On the agenda, with a command that counts so many attempts. In progress, it is due when the lease ends; otherwise at
    /// any time.
    pub(super) due: Option<u8>,
    /// It is due before the lease ends.
    pub(super) early: bool,
    /// Until the window that began with `first_attempt_at` ends; -1 has passed by every clock.
    pub(super) window: i8,
}

/// What the third party knows of an effect.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Ledger {
    /// How often it was applied, up to 2.
    pub(super) applied: u8,
    /// How long the key is still remembered.
    pub(super) memory: i8,
    /// A call whose caller has given up may still be applied.
    pub(super) late: bool,
}
