//! Who may use the routes for clients and operators: `/runs`, `/parked`, what is below them, and `/self-test`.
//!
//! The gateway authenticates, and the function checks that it did. Otherwise a function URL or a load balancer, behind which
//! nobody thought of an authorizer, would let anyone start runs with our credentials.

use super::event::Caller;
use crate::config::environment::Operators;

impl Operators {
    /// By what name a request is let in, if it is.
    pub(super) fn let_in(self, caller: Option<&Caller>) -> Option<&str> {
        match (self, caller) {
            (_, Some(caller)) => Some(caller.as_str()),
            (Self::Open, None) => Some("anyone (OPERATOR_API=open)"),
            (Self::Authenticated, None) => None,
        }
    }
}
