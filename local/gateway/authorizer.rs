//! Authorizers in front of the routes for clients and operators, and what they add to an event. Everyone is let in here.

use serde_json::{Value, json};

use super::front_end::FrontEnd;

/// The authorizer of `/runs`, `/parked` and `/self-test`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Authorizer {
    /// Requests are signed with IAM credentials, as the template has it.
    #[default]
    Iam,
    /// A token from an identity provider: a JWT authorizer of an HTTP API, Cognito for a REST API.
    Token,
    /// A Lambda authorizer.
    Lambda,
    /// No authorizer.
    Nobody,
}

/// The authenticated user.
const USER: &str = "ada";
const USER_ARN: &str = "arn:aws:iam::123456789012:user/ada";

/// Whether a path is for clients and operators.
pub(super) fn is_guarded(path: &str) -> bool {
    ["/runs", "/parked", "/self-test"].iter().any(|guarded| path.starts_with(guarded))
}

impl Authorizer {
    /// All authorizers that authenticate.
    pub const ALL: [Self; 3] = [Self::Iam, Self::Token, Self::Lambda];

    /// The user's name as the function sees it.
    #[must_use]
    pub fn user(self) -> &'static str {
        match self {
            Self::Iam => USER_ARN,
            Self::Token | Self::Lambda | Self::Nobody => USER,
        }
    }

    /// Adds the caller to an event, in the field of its format. Load balancers' events have none.
    pub(super) fn tell(self, front_end: FrontEnd, event: &mut Value) {
        let context = &mut event["requestContext"];
        match (front_end, self) {
            (FrontEnd::LoadBalancer | FrontEnd::LoadBalancerLists, _) | (_, Self::Nobody) => {}
            (FrontEnd::RestApi, Self::Iam) => context["identity"]["userArn"] = json!(USER_ARN),
            (FrontEnd::RestApi, Self::Token) => context["authorizer"] = json!({ "claims": { "sub": USER } }),
            (FrontEnd::RestApi, Self::Lambda) => {
                context["authorizer"] = json!({ "principalId": USER, "integrationLatency": 12 });
            }
            (FrontEnd::HttpApi | FrontEnd::HttpApiStage | FrontEnd::FunctionUrl, Self::Iam) => {
                context["authorizer"] =
                    json!({ "iam": { "userArn": USER_ARN, "accountId": "123456789012" } });
            }
            (FrontEnd::HttpApi | FrontEnd::HttpApiStage | FrontEnd::FunctionUrl, Self::Token) => {
                context["authorizer"] = json!({ "jwt": { "claims": { "sub": USER }, "scopes": null } });
            }
            (FrontEnd::HttpApi | FrontEnd::HttpApiStage | FrontEnd::FunctionUrl, Self::Lambda) => {
                context["authorizer"] = json!({ "lambda": { "user": USER } });
            }
        }
    }
}
