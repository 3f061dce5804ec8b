//! `[steps.call.statuses]`: statuses with a non-standard meaning.

use super::{problems::Problems, section::Section};

/// Statuses that have a special meaning at this third party.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statuses {
    /// Applied: 409 for "exists already", for example.
    pub applied: Vec<u16>,
    /// Not applied; try again.
    pub refused_for_now: Vec<u16>,
    /// Not applied, and never will be.
    pub refused_for_good: Vec<u16>,
    /// Unknown whether applied.
    pub unknown: Vec<u16>,
}

impl Statuses {
    pub(super) fn read(mut section: Section, problems: &mut Problems) -> Self {
        let mut list = |field, problems: &mut Problems| -> Vec<u16> {
            section.optional(field, "a list of statuses such as [409]", problems).unwrap_or_default()
        };
        let statuses = Self {
            applied: list("applied", problems),
            refused_for_now: list("refused_for_now", problems),
            refused_for_good: list("refused_for_good", problems),
            unknown: list("unknown", problems),
        };
        let Self { applied, refused_for_now, refused_for_good, unknown } = &statuses;
        let mut seen = Vec::new();
        for status in [applied, refused_for_now, refused_for_good, unknown].into_iter().flatten() {
            if !(100..=599).contains(status) || seen.contains(&status) {
                let message = format!("{status} is no status, or stands here twice; each has one meaning");
                problems.add(section.place(), message);
            }
            seen.push(status);
        }
        section.finish(problems);
        statuses
    }
}
