//! The report of a dry run, as text and as JSON.

use std::collections::BTreeSet;

use anyhow::Result;
use driftq_webhooks::{
    config::{source::Source, step::Step},
    effect_id::EffectId,
    ingest::{
        preview::{Choice, Preview, PreviewedEvent},
        route::Unwanted,
    },
};
use serde_json::{Value, json};
use toml::Table;

use crate::request::{Calls, Shown};
use crate::{
    output::{counted, print},
    paint::Paint,
};

const NOT_VERIFIED: &str = "not verified: treated as authenticated; no call is made";

/// The whole report.
pub(super) struct Report {
    source: String,
    scheme: &'static str,
    /// A description of ingest's answer.
    answer: String,
    accepted: bool,
    events: Vec<Told>,
    /// Whether a step was selected.
    asked: bool,
}

/// An event.
struct Told {
    event_type: String,
    event_id: Option<String>,
    run_id: String,
    steps: Vec<(String, Fate)>,
}

/// What a step would do.
enum Fate {
    Called {
        effect: EffectId,
        request: Result<Shown, String>,
    },
    Unwanted(String),
    /// It may begin once these steps are done.
    Later(String),
    Lacking(String),
}

impl Report {
    /// `text` is the text of the webhooks.toml.
    pub(super) fn new(
        source: &Source,
        text: &str,
        step: Option<&str>,
        preview: Preview<'_>,
        calls: &Calls,
    ) -> Result<Self> {
        let conditions = Conditions(text.parse()?);
        let mut report = Self {
            source: source.name.clone(),
            scheme: source.scheme.name(),
            answer: String::new(),
            accepted: true,
            events: Vec::new(),
            asked: step.is_some(),
        };
        match preview {
            Preview::TooLarge(most) => {
                report.refuse(413, &format!("the body is larger than max_body, {most} bytes"))
            }
            Preview::Lacking(lacking) => report.refuse(422, &lacking.to_string()),
            Preview::Handshake(answer) => {
                report.answer =
                    format!("a handshake, answered with {}: it starts no step", answer.status.as_u16())
            }
            Preview::Confirmation => {
                "the subscription would be confirmed: it starts no step".clone_into(&mut report.answer)
            }
            Preview::Events(events) => {
                report.events = events.iter().map(|event| Told::of(event, &conditions, calls)).collect();
                report.judge();
            }
        }
        let wanted = |id: &str| step.is_none_or(|step| step == id);
        report.events.iter_mut().for_each(|event| event.steps.retain(|(id, _)| wanted(id)));
        Ok(report)
    }

    fn refuse(&mut self, status: u16, why: &str) {
        self.answer = format!("refused with {status}: {why}");
        self.accepted = false;
    }

    fn judge(&mut self) {
        let fates = self.events.iter().flat_map(|event| &event.steps).map(|(_, fate)| fate);
        let lacking = fates
            .clone()
            .find_map(|fate| if let Fate::Lacking(why) = fate { Some(why.clone()) } else { None });
        let started = fates.filter(|fate| matches!(fate, Fate::Called { .. })).count();
        match lacking {
            Some(why) => {
                self.refuse(422, &format!("{why}; no step is started, and the provider delivers again"))
            }
            None => self.answer = format!("accepted, and starts {}", counted(started, "effect")),
        }
    }

    /// Whether the webhook is accepted, every call can be made, and the selected step starts.
    pub(super) fn is_good(&self) -> bool {
        let mut fates = self.events.iter().flat_map(|event| &event.steps).map(|(_, fate)| fate);
        let unfit = fates.clone().any(|fate| matches!(fate, Fate::Called { request: Err(_), .. }));
        let started = fates.any(|fate| matches!(fate, Fate::Called { .. }));
        self.accepted && !unfit && (started || !self.asked)
    }

    pub(super) fn print(&self, json: bool) -> Result<()> {
        print(&if json { self.json().to_string() } else { self.text() })
    }

    fn text(&self) -> String {
        let paint = Paint::stdout();
        let answer = if self.accepted { paint.green(&self.answer) } else { paint.red(&self.answer) };
        let mut lines = vec![
            paint.yellow(NOT_VERIFIED),
            String::new(),
            format!("source  {} ({})", self.source, self.scheme),
            format!("answer  {answer}"),
        ];
        for event in &self.events {
            let id = event.event_id.as_ref().map_or_else(String::new, |id| format!(", {id}"));
            lines.push(format!(
                "event   {}{id}",
                Some(&*event.event_type).filter(|name| !name.is_empty()).unwrap_or("of no type")
            ));
            lines.push(format!("run     {}", event.run_id));
            let (others, started): (Vec<_>, Vec<_>) =
                event.steps.iter().partition(|(_, fate)| matches!(fate, Fate::Unwanted(_) | Fate::Later(_)));
            for (step, fate) in started {
                lines.push(String::new());
                fate.add_to(&mut lines, step, paint);
            }
            lines.extend((!others.is_empty()).then(String::new));
            others.iter().for_each(|(step, fate)| fate.add_to(&mut lines, step, paint));
        }
        lines.join("\n")
    }

    fn json(&self) -> Value {
        let event = |event: &Told| {
            json!({
                "type": event.event_type,
                "id": event.event_id,
                "run_id": event.run_id,
                "steps": event.steps.iter().map(|(step, fate)| fate.json(step)).collect::<Vec<_>>(),
            })
        };
        json!({
            "verified": false,
            "source": self.source,
            "scheme": self.scheme,
            "accepted": self.accepted,
            "answer": self.answer,
            "events": self.events.iter().map(event).collect::<Vec<_>>(),
        })
    }
}

impl Told {
    fn of(event: &PreviewedEvent<'_>, conditions: &Conditions, calls: &Calls) -> Self {
        let started = event.steps.iter().filter_map(|(_, choice)| choice.as_ref().ok()?.as_ref().ok());
        let later: BTreeSet<_> = started.flat_map(|routed| routed.command.flow.0.keys()).collect();
        let fate = |(step, choice): &(&Step, Choice)| {
            let fate = match choice {
                Ok(Err(Unwanted::After)) if later.contains(&step.id) => Fate::Later(before(step)),
                choice => Fate::of(step, choice, conditions, calls),
            };
            (step.id.to_string(), fate)
        };
        Self {
            event_type: event.event_type.clone(),
            event_id: event.event_id.clone(),
            run_id: event.run_id.to_string(),
            steps: event.steps.iter().map(fate).collect(),
        }
    }
}

impl Fate {
    fn of(step: &Step, choice: &Choice, conditions: &Conditions, calls: &Calls) -> Self {
        match choice {
            Ok(Ok(routed)) => {
                let request = calls
                    .of(step, &routed.effect, 1, &routed.command.payload)
                    .map_err(|unfit| unfit.to_string());
                Self::Called { effect: routed.effect.clone(), request }
            }
            Ok(Err(unwanted)) => Self::Unwanted(why(step, *unwanted, conditions)),
            Err(lacking) => Self::Lacking(lacking.to_string()),
        }
    }

    fn add_to(&self, lines: &mut Vec<String>, step: &str, paint: Paint) {
        match self {
            Self::Unwanted(why) => lines.push(paint.dim(format!("{step}: no, {why}"))),
            Self::Later(before) => lines.push(paint.dim(format!("{step}: later, after {before}"))),
            Self::Lacking(why) => lines.push(format!("{}: {}", paint.bold(step), paint.red(why))),
            Self::Called { effect, request } => {
                lines.push(format!("{}: {}", paint.bold(step), paint.green("yes")));
                lines.push(format!("  business key  {}", effect.business_key()));
                lines.push(format!("  effect        {effect}"));
                match request {
                    Ok(request) => lines.extend(
                        request.lines().iter().map(|line| format!("    {line}").trim_end().to_owned()),
                    ),
                    Err(why) => lines.push(format!("  {}", paint.red(format!("would be parked: {why}")))),
                }
            }
        }
    }

    fn json(&self, step: &str) -> Value {
        match self {
            Self::Later(before) => json!({ "step": step, "starts": false, "after": before }),
            Self::Unwanted(why) | Self::Lacking(why) => json!({ "step": step, "starts": false, "why": why }),
            Self::Called { effect, request } => json!({
                "step": step,
                "starts": true,
                "run_id": effect.run_id().as_str(),
                "business_key": effect.business_key(),
                "effect_id": effect.to_string(),
                "idempotency_key": effect.idempotency_key(),
                "request": request.as_ref().ok().map(Shown::json),
                "parked": request.as_ref().err(),
            }),
        }
    }
}

/// The steps that a step waits for.
fn before(step: &Step) -> String {
    let before = step.after.iter().flat_map(|after| after.steps.iter().map(|step| step.as_str()));
    before.collect::<Vec<_>>().join(" and ")
}

fn why(step: &Step, unwanted: Unwanted, conditions: &Conditions) -> String {
    let on = step.on.as_ref();
    let on =
        |part: fn(&driftq_webhooks::config::step::Trigger) -> &String| on.map_or("?", |on| part(on).as_str());
    match unwanted {
        Unwanted::After => format!("it comes after {}", before(step)),
        Unwanted::OnRequest => "only POST /runs starts it".to_owned(),
        Unwanted::OtherSource => format!("it takes events of {}", on(|on| &on.source)),
        Unwanted::OtherType => format!("it takes {}", on(|on| &on.event_type)),
        Unwanted::When => format!("its when is false: {}", conditions.of(step)),
    }
}

/// The steps' conditions as written in the file.
struct Conditions(Table);

impl Conditions {
    fn of(&self, step: &Step) -> &str {
        let steps = self.0.get("steps").and_then(|steps| steps.as_array()).into_iter().flatten();
        let mut same =
            steps.filter(|other| other.get("id").and_then(|id| id.as_str()) == Some(step.id.as_str()));
        same.find_map(|step| step.get("when")?.as_str()).unwrap_or("?")
    }
}
