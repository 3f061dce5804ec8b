//! The monthly cost of a deployment: list prices, multiplied by quantities that tests count in requests (`local::counted`), and
//! by estimates if one machine can't show a quantity. `docs/costs.md` states which are estimates.

pub(crate) mod bill;
mod broker;
pub(crate) mod neighbours;
mod prices;
pub(crate) mod traffic;
