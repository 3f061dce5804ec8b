//! The contract: the observed behaviour of real DriftQ brokers, tested over HTTP.
//!
//! [`facts`] lists the facts. Each case names its generations (`cases!`), and runs for each of them against its own embedded broker. With
//! `DRIFTQ_HTTP_URL`, the cases of its generation run against that broker. It may be a shared one: every case has its own topics, and a case that
//! kills the broker, or needs an empty one, is skipped with a message. Where the two differ, the real one is right.
//!
//! Rules that take minutes, or depend on chance, are tested on the embedded broker's state machine with a simulated clock: `local/broker/tests`.

/// Makes every case a test for each of its generations, such as `contract::acks::g3::an_ack_commits_everything_below_it`. A case that is not listed
/// is an unused function, which the lints reject.
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
