//! The caller of a request, as authenticated by AWS before the function was invoked.
//!
//! It is in `requestContext`, which AWS writes and a client can't change. Each event format has its own field for it:
//! * HTTP APIs and function URLs: `authorizer.iam`, `authorizer.jwt` or `authorizer.lambda`
//!   (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>);
//! * REST APIs: `identity.userArn` for IAM, else the authorizer's context
//!   (<https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-mapping-template-reference.html>);
//! * load balancers: none. They pass it in headers, and a rule without authentication would pass a client's own headers.

use serde_json::Value;

use super::{context::Context, format::EventFormat};

/// The longest name kept.
const LONGEST: usize = 256;

/// An authenticated caller, by the name from AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller(String);

impl Caller {
    /// The name: an ARN, a token's subject, or an authorizer's principal.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn named(name: &Value) -> Option<Self> {
        Self::of_name(name.as_str()?)
    }

    fn of_name(name: &str) -> Option<Self> {
        let name = name.trim();
        let kept = &name[..name.floor_char_boundary(LONGEST)];
        (!kept.is_empty()).then(|| Self(kept.to_owned()))
    }

    /// The caller by a token's claims: the user that it was issued to, or the client that requested it.
    fn claiming(claims: &Value) -> Option<Self> {
        Self::named(&claims["sub"]).or_else(|| Self::named(&claims["client_id"]))
    }
}

impl EventFormat {
    /// The authenticated caller in an event's `requestContext`.
    pub(super) fn caller(self, context: &Context) -> Option<Caller> {
        let authorizer = &context.authorizer;
        match self {
            Self::Format2 => Caller::named(&authorizer["iam"]["userArn"])
                .or_else(|| Caller::claiming(&authorizer["jwt"]["claims"]))
                .or_else(|| authorized(&authorizer["lambda"])),
            Self::Format1 => (context.identity.as_ref())
                .and_then(|identity| Caller::of_name(identity.user_arn.as_deref()?))
                .or_else(|| Caller::claiming(&authorizer["claims"]))
                .or_else(|| Caller::named(&authorizer["principalId"])),
            Self::LoadBalancer => None,
        }
    }
}

/// The caller by a Lambda authorizer of an HTTP API. Its context is arbitrary, but exists only if the request was allowed.
fn authorized(context: &Value) -> Option<Caller> {
    let context = context.as_object()?;
    let names = ["principalId", "sub", "user"].into_iter();
    let name = names.filter_map(|name| context.get(name)).find_map(Caller::named);
    name.or_else(|| Some(Caller("someone whom a Lambda authorizer let in".to_owned())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn named(format: EventFormat, context: &Value) -> Option<String> {
        let context: Context = serde_json::from_value(context.clone()).unwrap();
        format.caller(&context).map(|caller| caller.0)
    }

    #[test]
    fn each_authorizer_says_whom_it_has_let_in() {
        let ada = Some("arn:aws:iam::123456789012:user/ada".to_owned());
        let iam = json!({ "authorizer": { "iam": { "userArn": "arn:aws:iam::123456789012:user/ada" } } });
        assert_eq!(named(EventFormat::Format2, &iam), ada);
        let jwt = json!({ "authorizer": { "jwt": { "claims": { "sub": "ada" }, "scopes": null } } });
        assert_eq!(named(EventFormat::Format2, &jwt).as_deref(), Some("ada"));
        let machine = json!({ "authorizer": { "jwt": { "claims": { "client_id": "cron" } } } });
        assert_eq!(named(EventFormat::Format2, &machine).as_deref(), Some("cron"));
        let lambda = json!({ "authorizer": { "lambda": { "user": "ada" } } });
        assert_eq!(named(EventFormat::Format2, &lambda).as_deref(), Some("ada"));
        let silent = json!({ "authorizer": { "lambda": {} } });
        assert!(named(EventFormat::Format2, &silent).is_some());

        let iam = json!({ "identity": { "userArn": "arn:aws:iam::123456789012:user/ada" } });
        assert_eq!(named(EventFormat::Format1, &iam), ada);
        let cognito = json!({ "authorizer": { "claims": { "sub": "ada" } } });
        assert_eq!(named(EventFormat::Format1, &cognito).as_deref(), Some("ada"));
        let lambda = json!({ "authorizer": { "principalId": "ada", "integrationLatency": 3 } });
        assert_eq!(named(EventFormat::Format1, &lambda).as_deref(), Some("ada"));
    }

    #[test]
    fn where_nobody_was_authenticated_nobody_is_named() {
        let unnamed = [
            json!({}),
            json!({ "authorizer": null, "identity": null, "authentication": null }),
            json!({ "authorizer": { "iam": null, "jwt": null, "lambda": null } }),
            json!({ "authorizer": { "iam": { "userArn": " " }, "claims": null, "scopes": null } }),
            json!({ "identity": { "userArn": null, "apiKey": "a key is no identity", "accountId": null } }),
            json!({ "authorizer": { "principalId": 7, "jwt": { "claims": { "sub": "" } } } }),
        ];
        for context in unnamed {
            for format in [EventFormat::Format1, EventFormat::Format2, EventFormat::LoadBalancer] {
                assert_eq!(named(format, &context), None, "{format:?} {context}");
            }
        }
        let of_another_format = json!({ "authorizer": { "principalId": "ada", "claims": { "sub": "ada" } } });
        assert_eq!(named(EventFormat::Format2, &of_another_format), None);
        assert_eq!(named(EventFormat::LoadBalancer, &of_another_format), None);
    }
}
