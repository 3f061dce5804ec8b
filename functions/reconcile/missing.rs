//! Decides which events of a provider's pages are missing. Pages go from the newest to the oldest, so a successful delivery is seen before
//! earlier failed ones of the same event.

use std::collections::HashSet;

use super::{Item, What, Window};

/// What a scan has seen so far.
#[derive(Debug, Default)]
pub struct Missing {
    /// Events that were delivered or requested.
    settled: HashSet<String>,
}

impl Missing {
    /// Whether an event is missing: it is within the scanned period, and no other delivery of it succeeded or was requested.
    pub fn is(&mut self, item: &Item, window: Window) -> bool {
        let is_within = (window.from..=window.until).contains(&item.at);
        match item.what {
            What::Delivered(_) => {
                self.settled.insert(item.event_id.clone());
                false
            }
            // What is newer than the scan belongs to the next one.
            What::Undelivered(_) | What::Event(_) => is_within && self.settled.insert(item.event_id.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::Value;

    use super::{super::Delivery, *};

    fn item(at: i64, id: &str, is_delivered: bool) -> Item {
        let what = Delivery { id: at.to_string(), listed: Value::Null }.that(is_delivered);
        let at = Timestamp::from_second(at).unwrap();
        Item { at, event_id: id.to_owned(), event_type: String::new(), what }
    }

    #[test]
    fn an_event_is_missing_if_no_delivery_of_it_has_succeeded() {
        let [from, until] = [10, 20].map(|at| Timestamp::from_second(at).unwrap());
        let pages = [
            item(25, "late", true),
            item(25, "newer", false),
            item(20, "late", false),
            item(19, "twice", false),
            item(15, "twice", false),
            item(14, "well", true),
            item(10, "first", false),
            item(9, "older", false),
        ];
        let mut missing = Missing::default();
        let found: Vec<_> = pages.iter().filter(|item| missing.is(item, Window { from, until })).collect();
        let names: Vec<_> = found.iter().map(|item| (item.event_id.as_str(), item.at.as_second())).collect();
        assert_eq!(names, [("twice", 19), ("first", 10)]);
    }
}
