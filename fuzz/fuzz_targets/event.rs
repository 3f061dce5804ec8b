//! Reads any Lambda event. No event may cause a panic, and a response can be made in the format of every event.
//!
//! `cargo fuzz run event --sanitizer none`, as for `verify`.

#![no_main]

use driftq_webhooks::ingest::event::Event;
use http::Response;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(event) = serde_json::from_slice::<Event>(input) else { return };
    let format = event.response_format();
    let _ = event.into_request();
    let reply = serde_json::to_value(format.reply(Response::new(String::new())));
    assert!(reply.is_ok_and(|reply| reply["statusCode"] == 200));
});
