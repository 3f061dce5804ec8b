//! Parked effects, grouped by step and reason.

use std::{cmp::Reverse, collections::BTreeMap};

use anyhow::Result;
use driftq_webhooks::effects::{listing::Listing, record::Record};
use jiff::Timestamp;
use serde::Serialize;

const PAGE: i32 = 500;

/// The parked effects of one step with one reason.
#[derive(Debug, Serialize)]
pub(crate) struct Group {
    pub(crate) step: String,
    pub(crate) why: String,
    pub(crate) in_doubt: bool,
    pub(crate) count: u64,
    pub(crate) since: Timestamp,
    pub(crate) last: Timestamp,
    /// When the oldest of them was created.
    pub(crate) created: Timestamp,
}

/// The groups of parked effects.
#[derive(Debug)]
pub(crate) struct Groups {
    /// The largest first.
    pub(crate) groups: Vec<Group>,
    /// Whether there are more parked effects than were read.
    pub(crate) more: bool,
}

/// Groups the parked effects of one step or of all steps. Reads up to `most` records, and at most one page more.
pub(crate) async fn groups(listing: &Listing, step: Option<&str>, most: u64) -> Result<Groups> {
    let (mut groups, mut read, mut from) = (BTreeMap::new(), 0, None);
    loop {
        let (page, next) = listing.parked_page(PAGE, from).await?;
        read += page.len() as u64;
        for record in page.into_iter().filter(|record| step.is_none_or(|step| record.step == step)) {
            add(&mut groups, record);
        }
        from = next;
        if from.is_none() || read >= most {
            let mut groups: Vec<_> = groups.into_values().collect();
            groups.sort_by_key(|group: &Group| Reverse(group.count));
            return Ok(Groups { groups, more: from.is_some() });
        }
    }
}

fn add(groups: &mut BTreeMap<(String, String, bool), Group>, record: Record) {
    let at = record.due_at.unwrap_or(record.updated_at);
    let why = record.last_error.unwrap_or_default();
    let (step, in_doubt) = (record.step, record.doubt.is_some());
    let group = groups.entry((step.clone(), why.clone(), in_doubt));
    let created = record.created_at;
    let group = group.or_insert(Group { step, why, in_doubt, count: 0, since: at, last: at, created });
    group.count += 1;
    group.created = group.created.min(created);
    (group.since, group.last) = (group.since.min(at), group.last.max(at));
}
