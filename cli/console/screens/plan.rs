//! Plan: the result that a bulk decision would have, shown before its confirmation.

use std::sync::Arc;

use anyhow::Result;
use axum::{
    extract::{Query, RawQuery, State, rejection::QueryRejection},
    http::HeaderMap,
    response::{IntoResponse, Redirect, Response},
};
use driftq_webhooks::effects::{
    bulk::{Filter, Plan, Policy},
    guard::decide::Decision,
};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::super::{
    App,
    screen::{self, Screen},
    show::{id, number, relative, said, to},
};
use crate::effect::cut;

/// The effects and the decision: the parameters of its URL, and the fields of its form.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Planned {
    #[serde(default = "retry")]
    pub(super) decision: Decision,
    #[serde(default, deserialize_with = "said")]
    pub(super) run_id: Option<String>,
    #[serde(default, deserialize_with = "said")]
    pub(super) step: Option<String>,
    #[serde(default, deserialize_with = "said")]
    pub(super) error: Option<String>,
    #[serde(default, deserialize_with = "said")]
    pub(super) in_doubt: Option<String>,
    /// Effects that are parked later are not in the plan, and are not decided.
    #[serde(default = "Timestamp::now")]
    pub(super) before: Timestamp,
}

fn retry() -> Decision {
    Decision::Retry
}

/// Answers with the page. Its URL contains the time up to which effects are in the plan, so that the plan does not change.
pub(super) async fn plan(
    app: State<Arc<App>>,
    headers: HeaderMap,
    asked: Result<Query<Planned>, QueryRejection>,
    RawQuery(query): RawQuery,
) -> Response {
    match asked {
        Ok(Query(planned)) if !query.unwrap_or_default().contains("before=") => {
            Redirect::to(&planned.with(planned.decision)).into_response()
        }
        asked => screen::show(app, headers, asked).await,
    }
}

impl Screen for Planned {
    const NAME: &'static str = "Plan";
    const SLOWER: u32 = 4;

    fn still(&self, _app: &App) -> Markup {
        html! {
            p { "About " (self.about()) ", parked before " (self.before.strftime("%Y-%m-%d %H:%M:%SZ").to_string()) "." }
            nav.decisions aria-label="Decisions" {
                @for decision in Decision::ALL {
                    a href=(self.with(decision)) aria-current=[(decision == self.decision).then_some("true")] {
                        strong { (name(decision)) } span { (meaning(decision)) }
                    }
                }
            }
        }
    }

    async fn live(&self, app: &App) -> Result<Markup> {
        let policy = |step: &str| Policy::of(&app.config, step);
        let plan = app.decide.plan(&self.filter(), self.decision, policy).await?;
        Ok(told(&plan, self.decision))
    }

    fn below(&self, app: &App) -> Markup {
        if app.about.read_only {
            return html! { p { "This console is read-only." } };
        }
        html! {
            form.confirm method="post" action="decide" {
                input type="hidden" name="form_token" value=(app.access.form_token());
                @for (name, value) in self.fields() { input type="hidden" name=(name) value=(value); }
                label { "Reason, recorded for each effect" input name="note" required maxlength="500" autocomplete="off"; }
                button { (name(self.decision)) }
            }
        }
    }
}

impl Planned {
    pub(super) fn filter(&self) -> Filter {
        Filter {
            run_id: self.run_id.clone(),
            step: self.step.clone(),
            error: self.error.clone(),
            in_doubt: self.in_doubt.as_deref().map(|in_doubt| in_doubt == "true"),
            before: Some(self.before),
            ..Filter::default()
        }
    }

    /// Whether it has a filter other than a time.
    pub(super) fn is_about_something(&self) -> bool {
        self.run_id.is_some() || self.step.is_some() || self.error.is_some() || self.in_doubt.is_some()
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        let said = [
            ("run_id", &self.run_id),
            ("step", &self.step),
            ("error", &self.error),
            ("in_doubt", &self.in_doubt),
        ];
        let said = said.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)));
        let always = [("decision", self.decision.as_str().to_owned()), ("before", self.before.to_string())];
        said.chain(always).collect()
    }

    /// The same effects with another decision.
    fn with(&self, decision: Decision) -> String {
        let fields = Self { decision, ..self.clone() }.fields();
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        to("plan", &fields)
    }

    pub(super) fn about(&self) -> String {
        let doubt = match self.in_doubt.as_deref() {
            Some("true") => " in doubt",
            Some(_) => " not in doubt",
            None => "",
        };
        let mut about = format!("effects{doubt}");
        for (word, value) in [("of run", &self.run_id), ("of step", &self.step), ("because", &self.error)] {
            if let Some(value) = value {
                about += &format!(" {word} {}", cut(value, 80));
            }
        }
        about
    }
}

/// The text of a decision's button.
pub(super) fn name(decision: Decision) -> &'static str {
    match decision {
        Decision::Retry => "Try again",
        Decision::NotApplied => "It did not happen",
        Decision::Applied => "It happened",
        Decision::Discard => "Discard",
    }
}

fn meaning(decision: Decision) -> &'static str {
    match decision {
        Decision::Retry => "The cause is fixed: call, with all attempts. The step's policy resolves a doubt.",
        Decision::NotApplied => "You have checked: call as for the first time.",
        Decision::Applied => "You have checked: record them as done, and make no call.",
        Decision::Discard => "They are not needed any more: make no call.",
    }
}

/// The result for each class of effects, and some of the effects.
fn told(plan: &Plan, decision: Decision) -> Markup {
    let outcome = match decision {
        Decision::Retry => "would be retried",
        Decision::NotApplied => "would be called as if for the first time",
        Decision::Applied => "would be recorded as done",
        Decision::Discard => "would be discarded",
    };
    let now = Timestamp::now();
    html! {
        ul.plan {
            li { strong { (number(plan.would_decide)) } " of " (number(plan.parked)) " parked " (outcome) }
            @if plan.in_doubt > 0 {
                li { strong { (number(plan.in_doubt)) } " would be left out: they may have happened, and this decision does not say. \
                     Look at the third party first" }
            }
            @if plan.not_callable > 0 {
                li { strong { (number(plan.not_callable)) } " would be left out: they can't be called. Discard them" }
            }
        }
        @if !plan.samples.is_empty() {
            table {
                caption { "Some of them" }
                thead { tr { th { "effect" } th { "parked" } th { "reason" } } }
                tbody {
                    @for record in &plan.samples {
                        tr {
                            td { a href=(to("run", &[("id", &record.run_id)])) { (id(&record.effect_id)) } }
                            td data-head="parked" { (relative(record.due_at.unwrap_or(record.updated_at), now)) }
                            td.why { (cut(record.last_error.as_deref().unwrap_or_default(), 200)) }
                        }
                    }
                }
            }
        }
    }
}
