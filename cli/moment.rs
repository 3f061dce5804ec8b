//! A point in time as an argument: `2h` for two hours ago, or `2026-11-26T09:00:00Z`.

use std::str::FromStr;

use clap::Args;
use jiff::{SignedDuration, Timestamp};

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) Timestamp);

/// The period of a list.
#[derive(Debug, Args)]
pub(crate) struct Span {
    /// Created at or after this time: a time, or how long ago.
    #[arg(long, default_value = "1h")]
    since: Moment,
    /// Created before this time.
    #[arg(long)]
    until: Option<Moment>,
}

impl Span {
    pub(crate) fn since(&self) -> Timestamp {
        self.since.0
    }

    pub(crate) fn until(&self) -> Option<Timestamp> {
        self.until.map(|until| until.0)
    }

    /// The end of the period; now by default.
    pub(crate) fn before(&self) -> Timestamp {
        self.until().unwrap_or_else(Timestamp::now)
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(time) = text.parse::<Timestamp>() {
            return Ok(Self(time));
        }
        let ago: SignedDuration = text.parse().map_err(|_| {
            "neither a time such as 2026-11-26T09:00:00Z nor how long ago, such as 2h".to_owned()
        })?;
        Timestamp::now().checked_sub(ago.abs()).map(Self).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]
mod tests {
    use super::*;

    #[test]
    fn a_time_or_how_long_ago() {
        let time: Moment = "2026-11-26T09:00:00Z".parse().unwrap();
        assert_eq!(time.0.to_string(), "2026-11-26T09:00:00Z");
        let ago = Timestamp::now().duration_since("90m".parse::<Moment>().unwrap().0);
        assert!((5399..5410).contains(&ago.as_secs()), "{ago}");
        assert!("yesterday".parse::<Moment>().is_err());
    }
}
