//! Command-line arguments that select the embedded broker.

use std::num::NonZeroUsize;

use clap::{Args, ValueEnum};

use crate::broker::Profile;

/// The embedded broker.
#[derive(Debug, Clone, Copy, Args)]
pub struct Broker {
    /// The generation of DriftQ brokers.
    #[arg(long, value_enum, default_value_t = Generation::G0)]
    profile: Generation,
    /// Maximum messages in flight per group and partition, instead of the profile's 2 or 32.
    #[arg(long, value_name = "N")]
    max_inflight: Option<NonZeroUsize>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Generation {
    /// The first: 2 in flight, 100 messages and 64 KiB per partition.
    G0,
    /// A newer one: 32 in flight, 1,024 messages and 4 MiB per partition, durable topics, acks flushed within 100 ms,
    /// `ack-cumulative`.
    G3,
}

impl Broker {
    /// Its profile.
    #[must_use]
    pub fn profile(&self) -> Profile {
        let profile = match self.profile {
            Generation::G0 => Profile::G0,
            Generation::G3 => Profile::G3,
        };
        self.max_inflight.map_or(profile, |limit| profile.with_max_in_flight(limit.get()))
    }
}
