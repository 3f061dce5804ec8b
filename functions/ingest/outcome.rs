//! How a webhook or a `POST /runs` ends. Its log lines, its metrics, the outcome in its span and its reply are derived here from one value, so
//! that a new outcome can't be forgotten in one of them.

use std::{borrow::Cow, error::Error};

use serde_json::json;
use webhook_verify::{Answer, Refused};

use super::{
    fetch::FetchError,
    keys::Disabled,
    placement::{NotDurable, Placements},
    reply::Reply,
    request::{Lacking, NotGenuine},
    route::Routed,
    started_run::StartedRun,
};
use crate::effect_id::EffectId;

/// How a request ended. What is known about its sender is part of it.
#[derive(Debug)]
pub enum Outcome {
    /// The webhook was not verified, so nothing is known about its sender.
    NotVerified(NotVerified),
    /// The webhook is not from its source.
    NotGenuine(NotGenuine),
    /// The webhook is authentic.
    Genuine(Genuine),
    /// A client's request, authenticated by AWS.
    Client(Client),
}

/// Why a webhook was not verified.
#[derive(Debug)]
pub enum NotVerified {
    /// No source has the name in its path.
    UnknownSource,
    /// Its body is larger than the source's `max_body`.
    TooLarge {
        /// The limit, in bytes.
        max: usize,
    },
    /// A secret of its source is not usable: it may be authentic.
    Disabled(Disabled),
    /// The certificate that it names is not available now: it may be authentic.
    NoCertificate(FetchError),
}

/// The outcome of an authentic webhook.
#[derive(Debug)]
pub enum Genuine {
    /// It exceeds its source's rate limit.
    OverRate,
    /// It is a handshake, with this response.
    Handshake(Answer),
    /// It asked to confirm a subscription, which was confirmed.
    Confirmed,
    /// It asked to confirm a subscription, which is not possible now. The provider asks again.
    NotConfirmed(FetchError),
    /// It lacks a value that a step needs.
    Lacking(Lacking),
    /// Not all of its commands are durable.
    NotDurable(Box<FailedCommand>),
    /// All of its commands are durable.
    Accepted(Vec<StartedRun>, Placements),
}

/// The outcome of `POST /runs`.
#[derive(Debug)]
pub enum Client {
    /// It can't be executed as it is.
    Unfit {
        /// For the log: it quotes nothing from the request.
        what: &'static str,
        /// For the client.
        why: String,
    },
    /// Its command is not durable.
    NotDurable(Box<FailedCommand>),
    /// Its command is durable.
    Started {
        /// The command.
        routed: Box<Routed>,
        /// The client, by the name from AWS.
        caller: String,
        /// Where it is durable.
        placed: Placements,
    },
}

/// A command that is not durable anywhere.
#[derive(Debug)]
pub struct FailedCommand {
    /// Its effect.
    pub effect: EffectId,
    /// The reason.
    pub error: NotDurable,
    /// The counts of the request's commands.
    pub placed: Placements,
}

/// The part of an outcome that the log, the metrics and the request's span have in common.
pub(super) enum Ending<'a> {
    Accepted(&'a [StartedRun]),
    Started { routed: &'a Routed, caller: &'a str },
    Handshake(&'static str),
    Refused { reason: &'static str, why: Cow<'a, str> },
    Disabled(&'a dyn Error),
    NotDurable(&'a FailedCommand),
}

impl Outcome {
    /// What to log, count and record.
    pub(super) fn ending(&self) -> Ending<'_> {
        let refused = |reason, why| Ending::Refused { reason, why: Cow::Borrowed(why) };
        match self {
            Self::NotVerified(NotVerified::UnknownSource) => refused("unknown-source", UNKNOWN_SOURCE),
            Self::NotVerified(NotVerified::TooLarge { .. }) => {
                refused("too-large", "the body is over the source's max_body")
            }
            Self::NotVerified(NotVerified::Disabled(error)) => Ending::Disabled(error),
            Self::NotVerified(NotVerified::NoCertificate(error)) => Ending::Disabled(error),
            Self::NotGenuine(why) => {
                Ending::Refused { reason: reason(why), why: Cow::Owned(why.to_string()) }
            }
            Self::Genuine(Genuine::OverRate) => {
                refused("rate", "it is genuine, and over the rate of its source")
            }
            Self::Genuine(Genuine::Handshake(_)) => Ending::Handshake("a provider shook hands"),
            Self::Genuine(Genuine::Confirmed) => Ending::Handshake("a subscription was confirmed"),
            Self::Genuine(Genuine::NotConfirmed(error)) => Ending::Disabled(error),
            Self::Genuine(Genuine::Lacking(lacking)) => {
                Ending::Refused { reason: UNFIT, why: Cow::Owned(lacking.to_string()) }
            }
            Self::Client(Client::Unfit { what, .. }) => refused(UNFIT, what),
            Self::Genuine(Genuine::NotDurable(failed)) | Self::Client(Client::NotDurable(failed)) => {
                Ending::NotDurable(failed)
            }
            Self::Genuine(Genuine::Accepted(runs, _)) => Ending::Accepted(runs),
            Self::Client(Client::Started { routed, caller, .. }) => Ending::Started { routed, caller },
        }
    }

    /// Where its commands are.
    pub(super) fn placed(&self) -> Placements {
        match self {
            Self::Genuine(Genuine::Accepted(_, placed)) | Self::Client(Client::Started { placed, .. }) => {
                *placed
            }
            Self::Genuine(Genuine::NotDurable(failed)) | Self::Client(Client::NotDurable(failed)) => {
                failed.placed
            }
            Self::NotVerified(_)
            | Self::NotGenuine(_)
            | Self::Genuine(
                Genuine::OverRate
                | Genuine::Handshake(_)
                | Genuine::Confirmed
                | Genuine::NotConfirmed(_)
                | Genuine::Lacking(_),
            )
            | Self::Client(Client::Unfit { .. }) => Placements::default(),
        }
    }

    /// Whether a webhook is authentic; none if it was not verified, and for other requests.
    pub(super) fn is_genuine(&self) -> Option<bool> {
        match self {
            Self::NotVerified(_) | Self::Client(_) => None,
            Self::NotGenuine(_) => Some(false),
            Self::Genuine(_) => Some(true),
        }
    }

    /// Whether the sender was authenticated.
    pub(super) fn is_authenticated(&self) -> bool {
        match self {
            Self::NotVerified(_) | Self::NotGenuine(_) => false,
            Self::Genuine(_) | Self::Client(_) => true,
        }
    }

    /// The response.
    #[must_use]
    pub fn into_reply(self) -> Reply {
        match self {
            Self::NotVerified(NotVerified::UnknownSource) => Reply::NotFound(UNKNOWN_SOURCE),
            Self::NotVerified(NotVerified::TooLarge { max }) => Reply::TooLarge { max },
            Self::NotVerified(NotVerified::Disabled(_) | NotVerified::NoCertificate(_))
            | Self::Genuine(Genuine::NotConfirmed(_) | Genuine::NotDurable(_))
            | Self::Client(Client::NotDurable(_)) => Reply::Unavailable,
            Self::NotGenuine(_) => Reply::NotGenuine,
            Self::Genuine(Genuine::OverRate) => Reply::TooMany,
            Self::Genuine(Genuine::Handshake(answer)) => Reply::Exact(answer),
            Self::Genuine(Genuine::Confirmed) => Reply::Found(json!({ "confirmed": true })),
            Self::Genuine(Genuine::Lacking(lacking)) => Reply::Unfit(lacking.to_string()),
            Self::Genuine(Genuine::Accepted(runs, _)) => Reply::Accepted(runs),
            Self::Client(Client::Unfit { why, .. }) => Reply::Unfit(why),
            Self::Client(Client::Started { routed, .. }) => Reply::Started(routed.effect),
        }
    }
}

const UNKNOWN_SOURCE: &str = "no source has this name";
const UNFIT: &str = "unfit";

impl Ending<'_> {
    /// Logs it. `duration_ms` is the time since the request was received.
    pub(super) fn log(&self, duration_ms: u64) {
        match self {
            Self::Accepted(runs) => runs.iter().for_each(|run| run.log(duration_ms)),
            Self::Started { routed, caller } => {
                let effect = &routed.effect;
                let (run_id, step) = (effect.run_id(), effect.step_id());
                tracing::info!(outcome = "accepted", %run_id, effect_id = %effect, %step, caller, duration_ms, "a run was started");
            }
            Self::Handshake(what) => tracing::info!(outcome = "handshake", duration_ms, "{what}"),
            Self::Refused { reason, why } => {
                let why = why.as_ref();
                tracing::warn!(outcome = "refused", reason, why, duration_ms, "a request was refused");
            }
            Self::Disabled(why) => {
                tracing::error!(outcome = "disabled", %why, duration_ms, "a webhook can't be verified: a secret or certificate is not available");
            }
            Self::NotDurable(FailedCommand { effect, error, .. }) => {
                let (run_id, step) = (effect.run_id(), effect.step_id());
                tracing::error!(outcome = "not_durable", %run_id, effect_id = %effect, %step, %error, duration_ms, "a command could not be made durable");
            }
        }
    }

    /// Its name in a span.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Accepted(_) | Self::Started { .. } => "accepted",
            Self::Handshake(_) => "handshake",
            Self::Refused { reason, .. } => reason,
            Self::Disabled(_) => "disabled",
            Self::NotDurable(_) => "not_durable",
        }
    }

    /// Whether it is our own failure.
    pub(super) fn is_error(&self) -> bool {
        match self {
            Self::Disabled(_) | Self::NotDurable(_) => true,
            Self::Accepted(_) | Self::Started { .. } | Self::Handshake(_) | Self::Refused { .. } => false,
        }
    }
}

/// The reason of a refusal, from a fixed set: each is a value of a metric's dimension.
fn reason(why: &NotGenuine) -> &'static str {
    match why {
        NotGenuine::Signature(Refused::Missing(_)) => "unsigned",
        NotGenuine::Signature(
            Refused::Repeated(_)
            | Refused::Malformed(_)
            | Refused::Contradicted(_)
            | Refused::TooMany(_)
            | Refused::Body(_)
            | Refused::Query
            | Refused::Unconfigured(_)
            | Refused::UnknownQuery,
        ) => "malformed",
        NotGenuine::Signature(Refused::OutsideWindow { .. }) => "stale",
        NotGenuine::Signature(Refused::Forged) | NotGenuine::Certificate(_) => "forged",
        NotGenuine::Address => "address",
    }
}
