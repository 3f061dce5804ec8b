//! `GET /metrics`: the broker's series in the Prometheus text format.
//!
//! The real broker adds the series of Go's runtime. A series without a sample is left out, as in the real broker. Numbers
//! are written as Go writes them, from a million on with an exponent.

use std::fmt::Write;

use super::state::State;
use super::turn::Counters;

/// Renders all series of the state.
pub(super) fn render(state: &State) -> String {
    let mut lag = Vec::new();
    let mut in_flight = Vec::new();
    for (topic, held) in &state.topics {
        for (group, progress) in &held.groups {
            for (number, partition) in held.partitions.iter().enumerate() {
                let labels = format!("group={},partition=\"{number}\",topic={}", label(group), label(topic));
                let flying = progress.partitions.get(number).map_or(0, |progress| progress.in_flight.len());
                lag.push((labels.clone(), partition.count_after(progress.committed(number)) as u64));
                in_flight.push((labels, flying as u64));
            }
        }
    }
    let dead = state.dead.iter();
    let dead = dead
        .map(|(topic, count)| (format!("reason=\"max_attempts_reached\",topic={}", label(topic)), *count));
    let rejected = state.rejected.iter();
    let rejected = rejected.map(|(cap, count)| (format!("reason={:?}", cap.reason()), *count));

    let mut text = String::new();
    let what = "Consumer lag per topic/group/partition (messages after committed offset).";
    series(&mut text, "consumer_lag", "gauge", what, lag);
    let what = "Total number of messages routed to DLQ.";
    series(&mut text, "dlq_messages_total", "counter", what, dead.collect());
    let what = "Current number of in-flight messages per topic/group/partition.";
    series(&mut text, "inflight_messages", "gauge", what, in_flight);
    let what = "Total number of produce calls rejected (backpressure/overload).";
    series(&mut text, "produce_rejected_total", "counter", what, rejected.collect());
    if state.profile.extended {
        counters(&mut text, &state.counters);
    }
    text
}

/// The counters of the newer generation. It was seen that they exist and that `topic_created_total` has topics as labels;
/// the other names are guesses.
fn counters(text: &mut String, counted: &Counters) {
    for (name, what, count) in [
        ("acks_total", "Total number of acks.", counted.acks),
        ("ack_timeouts_total", "Total number of leases that ran out.", counted.timeouts),
        ("nacks_total", "Total number of nacks.", counted.nacks),
        ("redeliveries_total", "Total number of redeliveries.", counted.redeliveries),
    ] {
        series(text, name, "counter", what, vec![(String::new(), count)]);
    }
    let created = counted.topics_created.iter();
    let created = created.map(|(topic, count)| (format!("topic={}", label(topic)), *count)).collect();
    series(text, "topic_created_total", "counter", "Total number of topics created.", created);
}

fn series(text: &mut String, name: &str, kind: &str, what: &str, mut samples: Vec<(String, u64)>) {
    if samples.is_empty() {
        return;
    }
    samples.sort();
    let _ = writeln!(text, "# HELP {name} {what}\n# TYPE {name} {kind}"); // to a String: cannot fail
    for (labels, value) in samples {
        let labels = if labels.is_empty() { labels } else { format!("{{{labels}}}") };
        let _ = writeln!(text, "{name}{labels} {}", number(value));
    }
}

/// A label's value between quotes.
fn label(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', r"\\").replace('\n', r"\n").replace('"', "\\\""))
}

/// A number as Go writes it.
fn number(value: u64) -> String {
    if value < 1_000_000 {
        return value.to_string();
    }
    let written = format!("{:e}", value as f64);
    match written.split_once('e') {
        Some((digits, exponent)) => format!("{digits}e+{exponent:0>2}"),
        None => written,
    }
}

#[cfg(test)]
mod tests {
    use super::{label, number};

    #[test]
    fn numbers_and_labels_are_written_as_in_go() {
        let numbers = [0, 999_999, 1_000_000, 9_904_128, 123_456_789_012].map(number);
        assert_eq!(numbers, ["0", "999999", "1e+06", "9.904128e+06", "1.23456789012e+11"]);
        assert_eq!(label("a\"\\\né"), "\"a\\\"\\\\\\né\"");
    }
}
