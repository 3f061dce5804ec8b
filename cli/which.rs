//! Which effects a list is about.

use clap::{Args, builder::PossibleValuesParser};
use driftq_webhooks::effects::record::Record;

use crate::effect::{STATES, origin, state};

/// Which effects. All that is said must fit.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Of this source; `api` for what clients have started.
    #[arg(long)]
    pub(crate) source: Option<String>,
    /// Of this step.
    #[arg(long)]
    pub(crate) step: Option<String>,
    /// In this state.
    #[arg(long, value_parser = PossibleValuesParser::new(STATES))]
    pub(crate) state: Option<String>,
    /// About this: the business key, or a part of it.
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// Of this event: the provider's id, or a part of it.
    #[arg(long)]
    pub(crate) event: Option<String>,
}

impl Which {
    /// Whether nothing says which, so that all fit.
    pub(crate) fn is_all(&self) -> bool {
        !self.says_which() && self.state.is_none()
    }

    /// Whether anything but the state says which.
    pub(crate) fn says_which(&self) -> bool {
        [&self.source, &self.step, &self.key, &self.event].into_iter().any(Option::is_some)
    }

    /// Whether all that is said fits.
    pub(crate) fn fits(&self, record: &Record) -> bool {
        let (source, event) = origin(&record.run_id);
        let is = |wanted: &Option<String>, there: &str| wanted.as_ref().is_none_or(|wanted| wanted == there);
        let has = |wanted: &Option<String>, there: &str| {
            wanted.as_ref().is_none_or(|wanted| there.contains(wanted.as_str()))
        };
        is(&self.source, source)
            && is(&self.step, &record.step)
            && is(&self.state, state(record))
            && has(&self.key, &record.business_key)
            && has(&self.event, event)
    }
}
