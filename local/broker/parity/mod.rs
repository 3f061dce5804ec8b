//! Makes the embedded broker's answers equal to the real broker's, byte by byte. Nothing here decides what happens to a message, and the
//! functions would work with a broker whose errors have other texts.
//!
//! The real broker is written in Go, and that shows in its responses to malformed or unusual requests. A client gets such responses only when
//! something is wrong, so the contract tests in `tests/stories/contract` compare them. No library has these texts, so they are written here:
//!
//! * `json_text`, `go_json`: JSON bodies, with the errors of Go's `encoding/json`;
//! * `quote`: texts in error messages, quoted as Go's `strconv.Quote` does it;
//! * `deadline`: times, parsed and refused as Go's `time.Parse` does it;
//! * `path`: paths, resolved and redirected as Go's router does it.

pub(super) mod deadline;
pub(super) mod go_json;
pub(super) mod json_text;
pub(super) mod path;
pub(super) mod quote;
