//! Access control for the routes for clients and operators: `/runs`, `/parked`, everything below them, and `/self-test`.
//!
//! The gateway authenticates, and the function checks that it did. Otherwise, behind a function URL or a load balancer without an authorizer,
//! anyone could start runs with our credentials.

use super::event::Caller;
use crate::config::environment::Operators;

impl Operators {
    /// The caller's name, if access is allowed.
    pub(super) fn let_in(self, caller: Option<&Caller>) -> Option<&str> {
        match (self, caller) {
            (_, Some(caller)) => Some(caller.as_str()),
            (Self::Open, None) => Some("anyone (OPERATOR_API=open)"),
            (Self::Authenticated, None) => None,
        }
    }
}
