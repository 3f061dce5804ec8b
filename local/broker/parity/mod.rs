//! What makes the emulator's answers those of the real broker in each byte. Nothing here decides what happens to a message, and the functions
//! would work with a broker that words its errors in another way.
//!
//! The real broker is written in Go, and its responses to malformed or unusual requests show it. The contract tests in `tests/stories/contract`
//! compare them, since a client meets them only when something is wrong. No library has these texts, so they are written here:
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
