//! The contract: what a real DriftQ was seen to do, asserted at the wire.
//!
//! [`facts`] lists what was seen. Each case names the generations for which it holds (`cases!`), and is run for each of them
//! against an embedded broker of its own. With `DRIFTQ_HTTP_URL` the cases run against the broker that is there, those for
//! its generation: every case has topics of its own, so that it may be a shared one, and what kills the broker, or needs an
//! empty one, is skipped and says so. Where the two differ, the real one is right.
//!
//! The rules that take minutes, or luck, are asserted on the embedded broker's state machine, by a clock that is
//! passed in: `local/broker/tests`.

/// Makes every case a test for each generation for which it holds, as `contract::acks::g3::an_ack_commits_everything_below_it`.
/// A case that is not listed is a function without use, which the lints refuse.
macro_rules! cases {
    (
        $(both: [$($both:ident),+ $(,)?],)?
        $(g0: [$($g0:ident),+ $(,)?],)?
        $(g3: [$($g3:ident),+ $(,)?],)?
    ) => {
        mod g0 {
            cases!(@ G0: $($($both)+)? $($($g0)+)?);
        }
        mod g3 {
            cases!(@ G3: $($($both)+)? $($($g3)+)?);
        }
    };
    (@ $generation:ident: $($case:ident)*) => {$(
        #[tokio::test]
        async fn $case() {
            if let Some(broker) = crate::contract::broker::Broker::of(local::broker::Profile::$generation).await {
                super::$case(broker).await;
            }
        }
    )*};
}

mod acks;
mod broker;
mod caps;
mod consume;
mod coverage;
mod dead_letters;
mod deadlines;
mod ends;
mod facts;
mod groups;
mod json;
mod keys;
mod leases;
mod metrics;
mod nacks;
mod newer;
mod partitions;
mod produce;
mod restart;
mod routes;
mod stream;
mod topics;
mod wire;
