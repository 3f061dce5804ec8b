//! The messages left in the topic, by the broker's own metrics (`docs/driftq-contract.md`, R3).

use crate::{http::Answer, proxy::FaultProxy};

/// The number of the topic's messages after the group's commit. None: the group is not known yet.
pub(super) fn lag(metrics: &Answer, topic: &str, group: &str) -> Option<u64> {
    let (topic, group) = (format!("topic=\"{topic}\""), format!("group=\"{group}\""));
    let text = String::from_utf8_lossy(&metrics.body);
    let lines = text
        .lines()
        .filter(|line| line.starts_with("consumer_lag{") && line.contains(&topic) && line.contains(&group));
    let values = lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
    // A count, printed as a float.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts of messages are small"
    )]
    values.map(|value| value as u64).reduce(|sum, value| sum + value)
}

/// The number of messages that the broker accepted for the topic, by the requests through the fault proxy.
pub(super) fn produced(proxy: &FaultProxy, topic: &str) -> u64 {
    let produced = proxy.seen_where(|seen| {
        seen.path.ends_with("/produce") && seen.succeeded() && seen.json()["topic"] == topic
    });
    produced.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_topic_and_group_asked_for_count() {
        let text = "consumer_lag{group=\"g\",partition=\"0\",topic=\"t\"} 3\n\
                    consumer_lag{group=\"g\",partition=\"1\",topic=\"t\"} 1e+02\n\
                    consumer_lag{group=\"g\",partition=\"0\",topic=\"tt\"} 7\n\
                    inflight_messages{group=\"g\",partition=\"0\",topic=\"t\"} 2\n";
        let metrics = Answer::status(200).with_body(text);
        assert_eq!(lag(&metrics, "t", "g"), Some(103));
        assert_eq!(lag(&metrics, "t", "other"), None);
    }
}
