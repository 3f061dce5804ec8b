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
        "1 for each webhook with a valid signature, 0 for each that was refused. A maximum of 0 means that no valid webhook of the source arrived.";
    DISABLED = "Disabled", COUNT, Some("Source"), "ingest",
        "Webhooks that were answered 503, because a secret of their source is invalid or SNS's certificate could not be fetched. The provider delivers again.";
    COMMANDS = "Commands", COUNT, None, "ingest",
        "Commands that were stored, on the topic or in the table.";
    DEFERRED = "Deferred", COUNT, Some("Function"), "both",
        "Ingest: commands that were stored in the table because the broker did not accept them. Consumer: effects postponed to a later attempt.";
    BROKER_REFUSALS = "BrokerRefusals", COUNT, None, "ingest",
        "Commands that a broker did not accept: it was full, failed or could not be reached. The log's `broker` says which.";
    NOT_DURABLE = "NotDurable", COUNT, None, "ingest",
        "Requests that were answered 503, because neither the broker nor the table stored all of their commands. The provider delivers again.";
    INGEST_LATENCY = "IngestLatency", MS, None, "ingest",
        "Time from the start of the handler to its answer, for each webhook and `POST /runs`.";
    WAKE_UPS_FAILED = "WakeUpsFailed", COUNT, None, "ingest",
        "Invocations of the consumer that Lambda refused, or did not answer within 150 ms. The schedule then starts the consumer.";
    RUNS = "Runs", COUNT, None, "consumer",
        "Runs that ended normally: nothing was left, the time was over and the next run continues, or another run reads the brokers.";
    FAILED_RUNS = "FailedRuns", COUNT, None, "consumer",
        "Runs that could not use the broker or the table.";
    PAUSED = "Paused", COUNT, None, "consumer",
        "Runs, also counted in `Runs`, that did nothing because an operator has paused the consumer.";
    BROKER_UNREACHABLE = "BrokerUnreachable", COUNT, None, "consumer",
        "Failed runs that could not keep a broker's stream open, also after retries, or got no answer from the broker.";
    RECEIVED = "Received", COUNT, None, "consumer",
        "Messages received, including redeliveries.";
    DONE = "Done", COUNT, None, "consumer",
        "Effects that the third party has applied and that are recorded as done.";
    DUPLICATES = "Duplicates", COUNT, None, "consumer",
        "Commands whose effect had a record already. Nothing was called.";
    HELD = "Held", COUNT, None, "consumer",
        "Commands whose effect another attempt had claimed. The effect becomes due when that attempt's lease ends.";
    IN_DOUBT = "InDoubt", COUNT, None, "consumer",
        "Attempts after which it is not known whether the third party applied the effect: there was no answer, the answer did not say, or the process died.";
    PARKED = "Parked", COUNT, Some("Step"), "both",
        "Effects and messages that an operator must decide about. A message whose step is not in `webhooks.toml` has the step `?`. Ingest parks a command if the broker did not accept it and its record in the table contradicts it; that has no step.";
    PARKED_IN_DOUBT = "ParkedInDoubt", COUNT, None, "consumer",
        "Parked effects, also counted in `Parked`, that may have been applied.";
    FROM_AGENDA = "FromAgenda", COUNT, None, "consumer",
        "Due effects that were worked on: postponed ones, and commands that the broker did not accept or that waited for their destination.";
    ENQUEUED = "Enqueued", COUNT, None, "consumer",
        "Messages that were moved to the agenda before a claim: the circuit breaker of their destination was open, the destination was busy, or there was no time for the step.";
    DUE_NOW = "DueNow", COUNT, None, "consumer",
        "Effects that are due now, counted once per minute while the consumer runs, up to about 1,000 per step.";
    OLDEST_DUE_AGE = "OldestDueAge", SECONDS, None, "consumer",
        "How long the oldest due effect has waited, measured together with `DueNow`; 0 if none is due.";
    PARKED_NOW = "ParkedNow", COUNT, Some("Step"), "consumer",
        "Effects and messages that are parked now, counted together with `DueNow`, up to 1,000 in total.";
    PARKED_IN_DOUBT_NOW = "ParkedInDoubtNow", COUNT, None, "consumer",
        "Parked effects, also counted in `ParkedNow`, that may have been applied.";
    BREAKER_OPENED = "BreakerOpened", COUNT, Some("Destination"), "consumer",
        "How often a destination's circuit breaker opened. Nothing is called there for up to 30 s; then one probe decides.";
    RECOVERED = "Recovered", COUNT, Some("Source"), "consumer",
        "Effects of events that had not arrived and were fetched from the provider; for GitHub and GitLab, deliveries that were requested again. More than a few mean that the provider could not reach ingest.";
    RECONCILE_FAILED = "ReconcileFailed", COUNT, Some("Source"), "consumer",
        "Reconciliations that did not finish: the provider did not answer, refused the key, or asked for a pause.";
    UNRECOVERED = "Unrecovered", COUNT, None, "consumer",
        "Events that had not arrived and can't be fetched or handled any more, and periods for which reconciliation came too late, because the provider has deleted what it sent then.";
    SPANS_DROPPED = "SpansDropped", COUNT, None, "both",
        "Spans that the collector of traces did not accept: it did not answer in time, refused them, or had failed less than 30 s before.";
    EVENTS_DROPPED = "EventsDropped", COUNT, None, "consumer",
        "Events that could not be sent to the events topic.";
    CALL_LATENCY = "CallLatency", MS, Some("Step"), "consumer",
        "Duration of each call to a third party, whatever its outcome. Look-ups are not counted.";
    RECEIVED_TO_CALL = "ReceivedToCall", MS, None, "consumer",
        "Time from when ingest received a command to the start of its first call.";
    RECEIVED_TO_DONE = "ReceivedToDone", MS, None, "consumer",
        "Time from when ingest received a command to the commit of its effect.";
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
