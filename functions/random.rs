//! Random numbers, from the operating system's generator.

use uuid::Uuid;

/// 62 random bits of a version 4 UUID. Never zero, since the variant's bit is set.
pub(crate) fn bits() -> u64 {
    Uuid::new_v4().as_u64_pair().1
}

/// A number between 0 and 1.
pub(crate) fn fraction() -> f64 {
    f64::from(bits() as u32) / f64::from(u32::MAX)
}
