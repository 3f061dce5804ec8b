//! Reads the broker's `/metrics`, in the Prometheus text format.

use std::collections::BTreeMap;

/// Reads `inflight_messages{group="g",partition="0",topic="t"} 2`: the number of messages in flight for the group, per
/// partition, on all streams together. A partition that is not listed is unknown.
pub(super) fn in_flight(text: &str, topic: &str, group: &str) -> BTreeMap<u32, u64> {
    let series = text.lines().filter_map(|line| line.strip_prefix("inflight_messages{")?.rsplit_once("} "));
    let ours = series.filter(|(labels, _)| {
        label(labels, "topic") == Some(&escaped(topic)) && label(labels, "group") == Some(&escaped(group))
    });
    ours.filter_map(|(labels, count)| Some((label(labels, "partition")?.parse().ok()?, count.parse().ok()?)))
        .collect()
}

/// A label's value, still escaped.
fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = labels;
    loop {
        let (found, value) = rest.split_once("=\"")?;
        let end = value.match_indices('"').find(|(at, _)| !is_escaped(&value[..*at]))?.0;
        if found == name {
            return Some(&value[..end]);
        }
        rest = value[end + 1..].trim_start_matches(',');
    }
}

/// Whether this text ends with an escaping backslash.
fn is_escaped(text: &str) -> bool {
    text.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_topic_and_the_group_asked_for_count() {
        let text = "# TYPE inflight_messages gauge\n\
                    inflight_messages{group=\"g\",partition=\"0\",topic=\"t\"} 2\n\
                    inflight_messages{topic=\"t\",partition=\"3\",group=\"g\"} 0\n\
                    inflight_messages{group=\"g\",partition=\"1\",topic=\"tt\"} 1\n\
                    inflight_messages{group=\"x\\\",topic=\\\"t\",partition=\"1\",topic=\"u\"} 1\n\
                    consumer_lag{group=\"g\",partition=\"1\",topic=\"t\"} 7\n";
        assert_eq!(in_flight(text, "t", "g"), BTreeMap::from([(0, 2), (3, 0)]));
        assert_eq!(in_flight(text, "u", "x\",topic=\"t"), BTreeMap::from([(1, 1)]));
        assert_eq!(in_flight("<html>503</html>", "t", "g"), BTreeMap::new());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(inflight_messages\\{)?([a-z]+=\"[^\n]{0,9}\",?){0,3}[\"\\\\{} é0-9]{0,9}") {
            let _ = in_flight(&text, "t", "g");
        }
    }
}
