//! Ingest's responses: the only table of statuses. Errors are problem details (RFC 9457).

use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use serde_json::{Value, json};
use webhook_verify::{Answer, Scheme, Success, success};

use super::{event::Malformed, route::Routed, started_run::StartedRun};
use crate::effect_id::{EffectId, RunId, StepId};

/// A response.
#[derive(Debug)]
pub enum Reply {
    /// All commands are durable. A run without effects is an authentic event that no step wants. This is not an error: the provider must not
    /// redeliver it.
    Accepted(Vec<StartedRun>),
    /// The same, for a provider that accepts only 200 as a success.
    Ok(Vec<StartedRun>),
    /// An exact response that the provider expects.
    Exact(Answer),
    /// A client's command is durable.
    Started(EffectId),
    /// A requested resource.
    Found(Value),
    /// Whether the brokers and the table can be reached.
    Health {
        /// Whether effects can be claimed and commands deferred.
        available: bool,
        /// The state of each broker and of the table.
        report: Value,
    },
    /// The signature is missing, expired or wrong. The reason is only logged.
    NotGenuine,
    /// The source, run or path does not exist.
    NotFound(&'static str),
    /// The path exists for another method.
    MethodNotAllowed(&'static str),
    /// The request can't be parsed.
    Malformed(Malformed),
    /// The body is larger than the source's `max_body`.
    TooLarge {
        /// The limit, in bytes.
        max: usize,
    },
    /// It is authentic, but exceeds its source's rate limit.
    TooMany,
    /// It lacks a value that a step needs, or contradicts an earlier request.
    Unfit(String),
    /// The resource has changed since the client read it.
    Overtaken(String),
    /// Neither the broker nor the table accepted it.
    Unavailable,
}

/// Seconds until a redelivery; providers that ignore it use their own backoff.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

impl Reply {
    /// Replaces a success by the response that the provider expects.
    #[must_use]
    pub fn as_expected(self, scheme: &Scheme) -> Self {
        match (self, success(scheme)) {
            (Self::Accepted(_), Success::Only(answer)) => Self::Exact(answer),
            (Self::Accepted(runs), Success::Ok) => Self::Ok(runs),
            (reply, _) => reply,
        }
    }
}

impl From<Reply> for Response<String> {
    fn from(reply: Reply) -> Self {
        match reply {
            Reply::Accepted(runs) => {
                let wanted = runs.iter().any(|run| !run.effects.is_empty());
                json(if wanted { StatusCode::ACCEPTED } else { StatusCode::OK }, &accepted(&runs))
            }
            Reply::Ok(runs) => json(StatusCode::OK, &accepted(&runs)),
            Reply::Exact(answer) => exactly(answer),
            Reply::Started(effect) => {
                let body = json!({ "run_id": effect.run_id(), "effect_id": effect.to_string() });
                json(StatusCode::ACCEPTED, &body)
            }
            Reply::Found(body) => json(StatusCode::OK, &body),
            Reply::Health { available: true, report } => json(StatusCode::OK, &report),
            Reply::Health { available: false, report } => json(StatusCode::SERVICE_UNAVAILABLE, &report),
            Reply::NotGenuine => problem(StatusCode::UNAUTHORIZED, "the signature could not be verified"),
            Reply::Malformed(malformed) => problem(StatusCode::BAD_REQUEST, &malformed.to_string()),
            Reply::NotFound(what) => problem(StatusCode::NOT_FOUND, what),
            Reply::MethodNotAllowed(allow) => {
                let mut response =
                    problem(StatusCode::METHOD_NOT_ALLOWED, "the path exists for another method");
                response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
                response
            }
            Reply::TooLarge { max } => {
                problem(StatusCode::PAYLOAD_TOO_LARGE, &format!("the body has more than {max} bytes"))
            }
            Reply::TooMany => later(StatusCode::TOO_MANY_REQUESTS, "too many at once; deliver it again"),
            Reply::Unfit(detail) => problem(StatusCode::UNPROCESSABLE_ENTITY, &detail),
            Reply::Overtaken(detail) => problem(StatusCode::CONFLICT, &detail),
            Reply::Unavailable => later(StatusCode::SERVICE_UNAVAILABLE, "not now; try again"),
        }
    }
}

fn later(status: StatusCode, detail: &str) -> Response<String> {
    let mut response = problem(status, detail);
    response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    response
}

/// One run for a webhook, a list of runs for a batch.
fn accepted(runs: &[StartedRun]) -> Accepted<'_> {
    match runs {
        [one] => Accepted::One(RunBody::of(one)),
        several => Accepted::Several { runs: several.iter().map(RunBody::of).collect() },
    }
}

/// The body of the response to a webhook.
#[derive(Serialize)]
#[serde(untagged)]
enum Accepted<'a> {
    One(RunBody<'a>),
    Several { runs: Vec<RunBody<'a>> },
}

#[derive(Serialize)]
struct RunBody<'a> {
    effects: Vec<StartedEffect<'a>>,
    run_id: &'a RunId,
}

#[derive(Serialize)]
struct StartedEffect<'a> {
    effect_id: String,
    step: &'a StepId,
}

impl<'a> RunBody<'a> {
    fn of(StartedRun { run_id, effects, .. }: &'a StartedRun) -> Self {
        let effect = |Routed { effect, .. }: &'a Routed| StartedEffect {
            effect_id: effect.to_string(),
            step: effect.step_id(),
        };
        Self { effects: effects.iter().map(effect).collect(), run_id }
    }
}

/// The effects named in one of our responses; none if it is another response.
#[must_use]
pub fn effects_of(answer: &str) -> Vec<EffectId> {
    let answer: Value = serde_json::from_str(answer).unwrap_or_default();
    let runs = answer["runs"].as_array().map_or(std::slice::from_ref(&answer), Vec::as_slice);
    let effects = runs.iter().filter_map(|run| run["effects"].as_array()).flatten();
    effects.filter_map(|effect| effect["effect_id"].as_str()?.parse().ok()).collect()
}

fn exactly(answer: Answer) -> Response<String> {
    let mut response = Response::new(answer.body);
    *response.status_mut() = answer.status;
    if !response.body().is_empty() {
        let content_type = HeaderValue::from_static(answer.content_type);
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    }
    response
}

fn problem(status: StatusCode, detail: &str) -> Response<String> {
    let title = status.canonical_reason().unwrap_or_default();
    let mut response = json(status, &json!({ "title": title, "status": status.as_u16(), "detail": detail }));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response
}

fn json(status: StatusCode, body: &impl Serialize) -> Response<String> {
    // Strings and numbers always serialise.
    let mut response = Response::new(serde_json::to_string(body).unwrap_or_default());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effects_of_an_answer_are_read_back() {
        let run = |id: &str| json!({ "run_id": id, "effects": [{ "effect_id": format!("{id}:s:k"), "step": "s" }] });
        let of = |answer: Value| {
            effects_of(&answer.to_string()).iter().map(EffectId::to_string).collect::<Vec<_>>()
        };
        assert_eq!(of(run("a")), ["a:s:k"]);
        assert_eq!(of(json!({ "runs": [run("a"), run("b")] })), ["a:s:k", "b:s:k"]);
        assert!(of(json!({ "effects": [{ "effect_id": "none" }, 7] })).is_empty());
        assert!(effects_of("ok").is_empty());
    }
}
