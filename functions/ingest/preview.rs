//! A preview of what a webhook would start, for authors of `webhooks.toml`. The webhook is not verified, so nothing may be executed: this shows
//! what ingest would do with an authentic one, by the same code.

use jiff::Timestamp;
use webhook_verify::{Answer, Key};

use super::{
    event::Request,
    request::{Lacking, UnverifiedWebhook, VerifiedWebhook},
    route::{self, Origin, Plans, Routed, Start, Unwanted},
};
use crate::{
    config::{Config, source::Source, step::Step},
    effect_id::RunId,
    trace::Traceparent,
};

/// Permission to parse an unverified webhook. Only a preview has it.
#[derive(Debug)]
pub(super) struct Peek(());

/// What a webhook would start.
#[derive(Debug)]
pub enum Preview<'c> {
    /// It would be refused: it is larger than this number of bytes.
    TooLarge(usize),
    /// It is a handshake, with this response.
    Handshake(Answer),
    /// The provider asks to confirm a subscription, which would be confirmed.
    Confirmation,
    /// It lacks a value that identifies it.
    Lacking(Lacking),
    /// Its events: one webhook may contain several.
    Events(Vec<PreviewedEvent<'c>>),
}

/// An event, with the result of each step.
#[derive(Debug)]
pub struct PreviewedEvent<'c> {
    /// Its type.
    pub event_type: String,
    /// The provider's id.
    pub event_id: Option<String>,
    /// The run that it starts.
    pub run_id: RunId,
    /// Steps in the order of the file. If the event lacks a value that one of them needs, none is started.
    pub steps: Vec<(&'c Step, Choice)>,
}

/// The result of a step for an event: a command, or the reason for none.
pub type Choice = Result<Result<Routed, Unwanted>, Lacking>;

impl<'c> Preview<'c> {
    /// Parses a request to a source as if it had been verified with this key. Some handshakes can only be detected with a key.
    #[must_use]
    pub fn of(
        request: &Request,
        source: &Source,
        key: Option<&Key>,
        config: &'c Config,
        now: Timestamp,
    ) -> Self {
        if request.body.len() > source.max_body {
            return Self::TooLarge(source.max_body);
        }
        let webhook = UnverifiedWebhook { source, request }.read_unverified(key, &Peek(()));
        if let Some(answer) = webhook.handshake() {
            return Self::Handshake(answer.clone());
        }
        if webhook.confirmation().is_some() {
            return Self::Confirmation;
        }
        let events = webhook.events(&config.templates);
        match events
            .and_then(|events| events.iter().map(|event| PreviewedEvent::of(event, config, now)).collect())
        {
            Ok(events) => Self::Events(events),
            Err(lacking) => Self::Lacking(lacking),
        }
    }
}

impl<'c> PreviewedEvent<'c> {
    fn of(webhook: &VerifiedWebhook<'_>, config: &'c Config, now: Timestamp) -> Result<Self, Lacking> {
        let context = webhook.context(&config.templates);
        let run_id = webhook.run_id(&config.templates, &context)?;
        let choose = |step| (step, route::choose(step, webhook, &run_id, config, &context));
        let mut steps: Vec<_> = config.steps.iter().map(choose).collect();
        let started = steps.iter().filter_map(|(_, choice)| choice.as_ref().ok()?.as_ref().ok());
        let plans = match Plans::of(started, webhook, config, &context) {
            Ok(plans) => plans,
            // A later step for which the event lacks a value: then nothing is started either.
            Err(lacking) => {
                let later = steps.iter_mut().find(|(_, choice)| matches!(choice, Ok(Err(Unwanted::After))));
                if let Some((_, choice)) = later {
                    *choice = Err(lacking);
                }
                Plans::default()
            }
        };
        let origin = Origin { source: &webhook.source().name, trace: Traceparent::new(), now };
        let command = |choice: Result<Result<Start, _>, _>| {
            choice.map(|choice| choice.map(|start| start.command(&plans, origin)))
        };
        let steps = steps.into_iter().map(|(step, choice)| (step, command(choice))).collect();
        Ok(Self {
            event_type: webhook.event_type().to_owned(),
            event_id: webhook.event_id().map(str::to_owned),
            run_id,
            steps,
        })
    }
}
