//! `--real`: which steps call the real third party.

use std::collections::BTreeSet;

use anyhow::Result;
use driftq_webhooks::config::{Config, in_doubt::InDoubt, step::Step};

use crate::{exit::Usage, own::Own};

/// The selected steps. Each must exist, and each secret of its calls must be the developer's own: the real third party would
/// refuse a generated one.
pub(super) fn steps(asked: &[String], config: &Config, own: &Own) -> Result<Vec<String>> {
    let known: Vec<_> = config.steps.iter().map(|step| step.id.as_str()).collect();
    if let Some(step) = asked.iter().find(|step| *step != "all" && !known.contains(&step.as_str())) {
        let known = known.join(", ");
        return Err(
            Usage(format!("no step is named {step:?}; known are {known}, and all for all of them")).into()
        );
    }
    let meant = |step: &&Step| asked.iter().any(|asked| asked == "all" || asked == step.id.as_str());
    let meant: Vec<_> = config.steps.iter().filter(meant).collect();
    let made_up = meant.iter().flat_map(|step| secrets(step, config)).filter(|name| own.get(name).is_none());
    let made_up: BTreeSet<_> = made_up.collect();
    if !made_up.is_empty() {
        let names = made_up.into_iter().collect::<Vec<_>>().join(", ");
        return Err(Usage(format!(
            "a real call needs a real secret: set {names} in the environment or in .env"
        ))
        .into());
    }
    Ok(meant.iter().map(|step| step.id.to_string()).collect())
}

/// The secrets of a step's calls.
pub(super) fn secrets<'a>(step: &'a Step, config: &'a Config) -> Vec<&'a str> {
    let look_up = match &step.in_doubt {
        InDoubt::LookUp(look_up) => look_up.auth.as_ref(),
        InDoubt::SameKey { .. } | InDoubt::Park | InDoubt::Impossible => None,
    };
    let auths = step.auth().into_iter().chain(look_up).filter_map(|auth| auth.secret());
    let destinations = step.urls().filter_map(|(_, url)| config.destinations.get(&url.destination()));
    auths.chain(destinations.filter_map(|destination| destination.client_certificate.as_deref())).collect()
}
