//! Who guards the routes for clients and operators, and what a function hears of it. Here everybody is let in.

use serde_json::{Value, json};

use super::door::Door;

/// What stands in front of `/runs`, `/parked` and `/self-test`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Authorizer {
    /// Requests are signed with IAM credentials, as the template has it.
    #[default]
    Iam,
    /// A token of an identity provider: a JWT authorizer of an HTTP API, Cognito at a REST API.
    Token,
    /// A function.
    Lambda,
    /// Nothing.
    Nobody,
}

/// The user whom it lets in.
const USER: &str = "ada";
const USER_ARN: &str = "arn:aws:iam::123456789012:user/ada";

/// Whether a path is for clients and operators.
pub(super) fn is_guarded(path: &str) -> bool {
    ["/runs", "/parked", "/self-test"].iter().any(|guarded| path.starts_with(guarded))
}

impl Authorizer {
    /// All of them that let somebody in.
    pub const ALL: [Self; 3] = [Self::Iam, Self::Token, Self::Lambda];

    /// By what name the function knows the user.
    #[must_use]
    pub fn user(self) -> &'static str {
        match self {
            Self::Iam => USER_ARN,
            Self::Token | Self::Lambda | Self::Nobody => USER,
        }
    }

    /// Puts that into an event, where the door has its place for it. Load balancers have none.
    pub(super) fn tell(self, door: Door, event: &mut Value) {
        let context = &mut event["requestContext"];
        match (door, self) {
            (Door::LoadBalancer | Door::LoadBalancerLists, _) | (_, Self::Nobody) => {}
            (Door::RestApi, Self::Iam) => context["identity"]["userArn"] = json!(USER_ARN),
            (Door::RestApi, Self::Token) => context["authorizer"] = json!({ "claims": { "sub": USER } }),
            (Door::RestApi, Self::Lambda) => {
                context["authorizer"] = json!({ "principalId": USER, "integrationLatency": 12 });
            }
            (Door::HttpApi | Door::HttpApiStage | Door::FunctionUrl, Self::Iam) => {
                context["authorizer"] =
                    json!({ "iam": { "userArn": USER_ARN, "accountId": "123456789012" } });
            }
            (Door::HttpApi | Door::HttpApiStage | Door::FunctionUrl, Self::Token) => {
                context["authorizer"] = json!({ "jwt": { "claims": { "sub": USER }, "scopes": null } });
            }
            (Door::HttpApi | Door::HttpApiStage | Door::FunctionUrl, Self::Lambda) => {
                context["authorizer"] = json!({ "lambda": { "user": USER } });
            }
        }
    }
}
