//! What is parked, in groups: one step, one reason.

use std::collections::BTreeMap;

use anyhow::Result;
use driftq_webhooks::effects::{Effects, record::Record};
use jiff::Timestamp;
use serde::Serialize;

const PAGE: i32 = 500;

/// Those of one step, parked for one reason.
#[derive(Debug, Serialize)]
pub(crate) struct Group {
    pub(crate) step: String,
    pub(crate) why: String,
    pub(crate) in_doubt: bool,
    pub(crate) count: u64,
    pub(crate) since: Timestamp,
    pub(crate) last: Timestamp,
}

/// The groups, the largest first. It reads all that is parked.
pub(crate) async fn groups(effects: &Effects, step: Option<&str>) -> Result<Vec<Group>> {
    let (mut groups, mut from) = (BTreeMap::new(), None);
    loop {
        let (page, next) = effects.parked_page(PAGE, from).await?;
        for record in page.into_iter().filter(|record| step.is_none_or(|step| record.step == step)) {
            add(&mut groups, record);
        }
        from = next;
        if from.is_none() {
            let mut groups: Vec<_> = groups.into_values().collect();
            groups.sort_by_key(|group: &Group| std::cmp::Reverse(group.count));
            return Ok(groups);
        }
    }
}

fn add(groups: &mut BTreeMap<(String, String, bool), Group>, record: Record) {
    let at = record.due_at.unwrap_or(record.updated_at);
    let why = record.last_error.unwrap_or_default();
    let (step, in_doubt) = (record.step, record.doubt.is_some());
    let group = groups.entry((step.clone(), why.clone(), in_doubt));
    let group = group.or_insert(Group { step, why, in_doubt, count: 0, since: at, last: at });
    group.count += 1;
    (group.since, group.last) = (group.since.min(at), group.last.max(at));
}
