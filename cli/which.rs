//! Filters that select effects.

use clap::{Args, builder::PossibleValuesParser};
use driftq_webhooks::effects::record::Record;

use crate::effect::{STATES, origin, state};

/// A filter for effects. An effect must match every option that is given.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Effects of this source; `api` for runs that clients have started.
    #[arg(long)]
    pub(crate) source: Option<String>,
    /// Effects of this step.
    #[arg(long)]
    pub(crate) step: Option<String>,
    /// Effects in this state.
    #[arg(long, value_parser = PossibleValuesParser::new(STATES))]
    pub(crate) state: Option<String>,
    /// Effects with this business key, or a part of it.
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// Effects of this event: the provider's id, or a part of it.
    #[arg(long)]
    pub(crate) event: Option<String>,
}

impl Which {
    /// Whether no option is given, so that every effect matches.
    pub(crate) fn is_all(&self) -> bool {
        !self.says_which() && self.state.is_none()
    }

    /// Whether an option other than the state is given.
    pub(crate) fn says_which(&self) -> bool {
        [&self.source, &self.step, &self.key, &self.event].into_iter().any(Option::is_some)
    }

    /// Whether the record matches every option.
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
