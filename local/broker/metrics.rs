//! `GET /metrics`: the broker's four series in the Prometheus text format (transcript 15).
//!
//! The real broker adds Go's and the process's own; a series without a sample is left out, as there.

use std::fmt::Write;

use super::state::State;

/// Renders all series of the state.
pub(super) fn render(state: &State) -> String {
    let mut lag = Vec::new();
    let mut in_flight = Vec::new();
    for (topic, held) in &state.topics {
        for (group, progress) in &held.groups {
            for (number, partition) in held.partitions.iter().enumerate() {
                let labels = format!("group={group:?},partition=\"{number}\",topic={topic:?}");
                let flying = progress.partitions.get(number).map_or(0, |progress| progress.in_flight.len());
                lag.push((labels.clone(), partition.count_after(progress.committed(number)) as u64));
                in_flight.push((labels, flying as u64));
            }
        }
    }
    let dead = state.dead.iter();
    let dead =
        dead.map(|(topic, count)| (format!("reason=\"max_attempts_reached\",topic={topic:?}"), *count));
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
    text
}

fn series(text: &mut String, name: &str, kind: &str, what: &str, mut samples: Vec<(String, u64)>) {
    if samples.is_empty() {
        return;
    }
    samples.sort();
    let _ = writeln!(text, "# HELP {name} {what}\n# TYPE {name} {kind}"); // to a String: cannot fail
    for (labels, value) in samples {
        let _ = writeln!(text, "{name}{{{labels}}} {value}");
    }
}
