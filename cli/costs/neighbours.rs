//! List prices of other services for the same number of webhooks, each as of a date; `docs/costs.md` names the pages. The
//! services differ in what they do.

use serde::Serialize;

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Neighbour {
    pub(crate) name: &'static str,
    pub(crate) usd: f64,
    /// How the price is computed.
    pub(crate) how: &'static str,
    /// When the price was read, as a date if that is known.
    pub(crate) read: &'static str,
}

/// All services whose price is known.
pub(crate) fn all(webhooks: f64, effects: f64) -> [Neighbour; 5] {
    let beyond = |included: f64| (webhooks - included).max(0.0);
    [
        Neighbour {
            name: "Svix, Free",
            usd: beyond(50_000.0) * 0.0001,
            how: "0.0001 per message over 50,000",
            read: "2026-09-20",
        },
        Neighbour {
            name: "Svix, Professional",
            usd: 490.0 + beyond(50_000.0) * 0.0001,
            how: "490, and 0.0001 per message over 50,000",
            read: "2026-09-20",
        },
        Neighbour {
            name: "Hookdeck, Team, at least",
            usd: 39.0,
            how: "39 with 10,000 events; the price of more is not known to us",
            read: "2026-09-20",
        },
        Neighbour {
            name: "Lambda durable functions, at least",
            usd: effects * 8.0 / 1e6,
            how: "8.00 per million operations, one per step; Lambda, API and stored data besides",
            read: "2026-09-20",
        },
        Neighbour {
            name: "Step Functions, Standard",
            usd: effects * 3.0 * 25.0 / 1e6,
            how: "25.00 per million transitions, three per step; Lambda and API besides",
            read: "page without a date",
        },
    ]
}
