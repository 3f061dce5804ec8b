//! What a deployment costs in a month: list prices times what tests count at the wire (`local::counted`), and estimates
//! where nothing can be counted on one machine. `docs/costs.md` says which is which.

pub(crate) mod bill;
mod broker;
pub(crate) mod neighbours;
mod prices;
pub(crate) mod traffic;
