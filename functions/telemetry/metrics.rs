//! The list of all metrics and their meanings, against which code and documents are checked.
//!
//! Every metric is recorded as a total. Those with a dimension are also recorded by its values.

/// The namespace in CloudWatch, unless `METRICS_NAMESPACE` names another.
pub const NAMESPACE: &str = "DriftqWebhooks";

/// A metric.
#[derive(Debug)]
pub struct Metric {
    /// Its name in CloudWatch.
    pub name: &'static str,
    /// Its unit, as CloudWatch names it.
    pub unit: &'static str,
    /// The dimension by which it is also recorded.
    pub by: Option<&'static str>,
    /// The function that records it.
    pub function: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

const COUNT: &str = "Count";
const MS: &str = "Milliseconds";
const SECONDS: &str = "Seconds";

macro_rules! metrics {
    ($($constant:ident = $name:literal, $unit:ident, $by:expr, $function:literal, $meaning:literal;)*) => {
        $(
            #[doc = concat!("`", $name, "`, ", $function, ": ", $meaning)]
            pub static $constant: Metric =
                Metric { name: $name, unit: $unit, by: $by, function: $function, meaning: $meaning };
        )*
        /// All metrics.
        pub static ALL: &[&Metric] = &[$(&$constant),*];
    };
}

metrics! {
    ACCEPTED = "Accepted", COUNT, Some("Source"), "ingest",
        "Webhooks and `POST /runs` (source `api`) that were answered 2xx.";
    REFUSED = "Refused", COUNT, Some("Reason"), "ingest",
        "Webhooks and `POST /runs` that were answered 4xx. The line also has the source.";
    GENUINE = "Genuine", COUNT, Some("Source"), "ingest",
        "1 for each webhook whose signature was right, 0 for each that was refused: its maximum tells whether a source is heard at all.";
    DISABLED = "Disabled", COUNT, Some("Source"), "ingest",
        "Webhooks that were answered 503 since a secret of their source can't be used, or SNS's certificate can't be had. The provider delivers again.";
    COMMANDS = "Commands", COUNT, None, "ingest",
        "Commands that were made durable, on the topic or in the table.";
    DEFERRED = "Deferred", COUNT, Some("Function"), "both",
        "Ingest: commands that went to the table since the broker did not take them. Consumer: effects deferred to a later attempt.";
    BROKER_REFUSALS = "BrokerRefusals", COUNT, None, "ingest",
        "Commands that a broker did not take: it was full, in trouble or not reached. The log's `broker` says which.";
    NOT_DURABLE = "NotDurable", COUNT, None, "ingest",
        "Requests answered 503: something of them could be made durable nowhere. The provider delivers again.";
    INGEST_LATENCY = "IngestLatency", MS, None, "ingest",
        "From the start of the handler to its answer, of every webhook and `POST /runs`.";
    WAKE_UPS_FAILED = "WakeUpsFailed", COUNT, None, "ingest",
        "Invocations of the consumer that Lambda did not take, or did not answer within 150 ms. The schedule starts it then.";
    RUNS = "Runs", COUNT, None, "consumer",
        "Runs that ended as they should: drained, out of time with the rest left to the next, or while another run reads the brokers.";
    FAILED_RUNS = "FailedRuns", COUNT, None, "consumer",
        "Runs that could not use the broker or the table.";
    PAUSED = "Paused", COUNT, None, "consumer",
        "Those of the runs that did nothing, since an operator has paused the consumer.";
    BROKER_UNREACHABLE = "BrokerUnreachable", COUNT, None, "consumer",
        "Failed runs that could not keep a stream of a broker open, tries again included, or got no answer from it.";
    RECEIVED = "Received", COUNT, None, "consumer",
        "Messages received, those delivered again included.";
    DONE = "Done", COUNT, None, "consumer",
        "Effects that the third party has applied, as is on record.";
    DUPLICATES = "Duplicates", COUNT, None, "consumer",
        "Commands whose effect was on record already: nothing was called.";
    HELD = "Held", COUNT, None, "consumer",
        "Commands whose effect another attempt had. It comes due when that attempt's lease ends.";
    IN_DOUBT = "InDoubt", COUNT, None, "consumer",
        "Attempts after which it is not known whether the third party applied the effect: no answer, an answer that tells nothing, or a process that died.";
    PARKED = "Parked", COUNT, Some("Step"), "both",
        "Effects and messages left to an operator. A message that asks for no step of `webhooks.toml` has the step `?`; what ingest parks, since the broker did not take it and the record contradicts it, has none.";
    PARKED_IN_DOUBT = "ParkedInDoubt", COUNT, None, "consumer",
        "Those of them that may have been applied.";
    FROM_AGENDA = "FromAgenda", COUNT, None, "consumer",
        "Due effects that were worked on: deferred ones, and commands that the broker did not take or that waited for their destination.";
    ENQUEUED = "Enqueued", COUNT, None, "consumer",
        "Messages left to the agenda before any claim: their destination was closed or busy, or there was no time for the step.";
    DUE_NOW = "DueNow", COUNT, None, "consumer",
        "Effects that are due at this moment, looked at once a minute while the consumer runs. Counted up to about 1,000 per step.";
    OLDEST_DUE_AGE = "OldestDueAge", SECONDS, None, "consumer",
        "How long the oldest due effect has waited, at the same look; 0 if none is due.";
    PARKED_NOW = "ParkedNow", COUNT, Some("Step"), "consumer",
        "Effects and messages that are parked at this moment, at the same look. Counted up to 1,000 in all.";
    PARKED_IN_DOUBT_NOW = "ParkedInDoubtNow", COUNT, None, "consumer",
        "Those of them that may have been applied.";
    BREAKER_OPENED = "BreakerOpened", COUNT, Some("Destination"), "consumer",
        "How often a destination's circuit breaker opened: nothing is called there for up to 30 s, and then one probe.";
    RECOVERED = "Recovered", COUNT, Some("Source"), "consumer",
        "Effects of events that had not arrived and were fetched from the provider; of GitHub, deliveries that it was asked to make again. More than a few mean that the provider could not reach ingest.";
    RECONCILE_FAILED = "ReconcileFailed", COUNT, Some("Source"), "consumer",
        "Looks at what a provider has sent that did not come to their end: it did not answer, refused the key, or asked for a pause.";
    UNRECOVERED = "Unrecovered", COUNT, None, "consumer",
        "Events that had not arrived and can't be had or worked on any more; and times that were looked at too late, since the provider no longer keeps what it sent then.";
    SPANS_DROPPED = "SpansDropped", COUNT, None, "both",
        "Spans that no collector of traces took: it did not answer in time, or refused them, or is left alone for 30 s after that.";
    EVENTS_DROPPED = "EventsDropped", COUNT, None, "consumer",
        "Events that did not reach the events topic.";
    CALL_LATENCY = "CallLatency", MS, Some("Step"), "consumer",
        "Of each call to a third party, whatever came of it. Look-ups are not counted.";
    RECEIVED_TO_CALL = "ReceivedToCall", MS, None, "consumer",
        "From when ingest took a command in to when its first call began.";
    RECEIVED_TO_DONE = "ReceivedToDone", MS, None, "consumer",
        "From when ingest took a command in to when its effect was committed.";
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `docs/logging.md` has exactly one row per metric.
    #[test]
    fn the_document_lists_what_is_measured() {
        let document = include_str!("../../docs/logging.md");
        let (_, rest) = document.split_once("<!-- metrics: begin -->\n").unwrap();
        let (listed, _) = rest.split_once("<!-- metrics: end -->").unwrap();
        let row = |metric: &&Metric| {
            let Metric { name, unit, by, function, meaning } = metric;
            let by = by.map(|by| format!("`{by}`")).unwrap_or_default();
            format!("| `{name}` | {} | {by} | {function} | {meaning} |\n", unit)
        };
        let head = "| metric | unit | also by | measured by | what it means |\n|---|---|---|---|---|\n";
        assert_eq!(listed, format!("{head}{}", ALL.iter().map(row).collect::<String>()));
        assert!(document.contains(&format!("`{NAMESPACE}`")));
    }

    #[test]
    fn no_two_have_one_name() {
        let names: std::collections::BTreeSet<_> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len());
    }
}
