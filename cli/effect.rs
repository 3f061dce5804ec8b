//! How effects are shown, with the same terms in every command.

use driftq_webhooks::effects::record::{Record, Status};
use jiff::Timestamp;

use crate::paint::Paint;

/// The names of the states in arguments and output.
pub(crate) const STATES: [&str; 9] =
    ["pending", "awaiting", "in progress", "waiting", "done", "skipped", "parked", "in doubt", "discarded"];

/// The name of a record's state. A parked effect that may have happened is in doubt.
pub(crate) fn state(record: &Record) -> &'static str {
    match record.status {
        Status::Pending => "pending",
        Status::InProgress => "in progress",
        Status::Waiting => "waiting",
        Status::Done => "done",
        Status::Parked if record.doubt.is_some() => "in doubt",
        Status::Parked => "parked",
        Status::Discarded => "discarded",
        Status::Awaiting => "awaiting",
        Status::Skipped => "skipped",
    }
}

/// The name of the state in its colour.
pub(crate) fn painted(record: &Record, width: usize) -> String {
    let (paint, word) = (Paint::stdout(), format!("{:width$}", state(record)));
    match record.status {
        Status::Done => paint.green(word),
        Status::Parked => paint.red(word),
        Status::Waiting | Status::InProgress | Status::Pending | Status::Awaiting => paint.yellow(word),
        Status::Discarded | Status::Skipped => paint.dim(word),
    }
}

/// The source of a run, and the provider's id of the event.
pub(crate) fn origin(run_id: &str) -> (&str, &str) {
    run_id.split_once('.').unwrap_or((run_id, ""))
}

/// A time in UTC with milliseconds.
pub(crate) fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S.%3fZ").to_string()
}

/// The first line of a text, cut to a number of characters.
pub(crate) fn cut(text: &str, most: usize) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line.to_owned(),
    }
}
