//! Decision: a bulk decision, during its execution and afterwards.

use std::sync::Arc;

use anyhow::{Context, Result};
use axum::{
    extract::{Form, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    super::{
        App,
        decisions::{Order, Stage, Standing},
        screen::{Screen, failed},
        show::{number, to},
    },
    plan::{Planned, name},
};

/// The fields of the plan's form.
#[derive(Debug, Deserialize)]
pub(super) struct Confirmed {
    form_token: String,
    note: String,
    #[serde(flatten)]
    planned: Planned,
}

/// The fields of the stop button's form.
#[derive(Debug, Deserialize)]
pub(super) struct Stop {
    form_token: String,
    id: String,
}

/// The parameters of its URL.
#[derive(Debug, Deserialize)]
pub(super) struct Progress {
    id: String,
}

/// Begins the decision, and redirects to the page with its progress.
pub(super) async fn begin(State(app): State<Arc<App>>, Form(confirmed): Form<Confirmed>) -> Response {
    let Confirmed { form_token, note, planned } = confirmed;
    if !app.access.is_own_form(&form_token) {
        return foreign(&app);
    }
    if !planned.is_about_something() || note.trim().is_empty() {
        let why = "Say which effects, by a run, a step, a reason or a doubt, and a note that says why.";
        return failed(&app, StatusCode::BAD_REQUEST, why);
    }
    let order = Order {
        about: planned.about(),
        name: name(planned.decision),
        filter: planned.filter(),
        decision: planned.decision,
        note: note.trim().to_owned(),
    };
    let id = app.decisions.begin(&app, order);
    Redirect::to(&to("decision", &[("id", &id.to_string())])).into_response()
}

/// Stops the decision. What has been decided stays decided.
pub(super) async fn stop(State(app): State<Arc<App>>, Form(stop): Form<Stop>) -> Response {
    if !app.access.is_own_form(&stop.form_token) {
        return foreign(&app);
    }
    if let Ok(id) = stop.id.parse() {
        app.decisions.stop(id);
    }
    Redirect::to(&to("decision", &[("id", &stop.id)])).into_response()
}

fn foreign(app: &App) -> Response {
    failed(
        app,
        StatusCode::FORBIDDEN,
        "This form is not one of this console. Go back, load the page again, and send it once more.",
    )
}

impl Screen for Progress {
    const NAME: &'static str = "Decision";

    fn still(&self, _app: &App) -> Markup {
        html! {}
    }

    async fn live(&self, app: &App) -> Result<Markup> {
        let standing = self.id.parse().ok().and_then(|id| app.decisions.standing(id));
        Ok(told(app, &self.id, &standing.context("no such decision was begun by this console")?))
    }
}

fn told(app: &App, id: &str, standing: &Standing) -> Markup {
    let Standing { about, name, note, stage, tally } = standing;
    let left = [
        (tally.overtaken, "had changed meanwhile, and were left as they are"),
        (tally.in_doubt, "were left out: they are in doubt"),
        (tally.not_callable, "were left out: they can't be called"),
    ];
    html! {
        p { strong { (name) } " — " (about) }
        p.quiet { "“" (note) "” · " code { (id) } }
        @match stage {
            Stage::Running => {
                p role="status" { "Deciding: " strong { (number(tally.decided)) } " so far." }
                noscript { p { "Load the page again to see how far it is." } }
                form method="post" action="stop" {
                    input type="hidden" name="form_token" value=(app.access.form_token());
                    input type="hidden" name="id" value=(id);
                    button { "Stop" }
                }
            }
            Stage::Ended => p role="status" { strong { (number(tally.decided)) } " decided. Finished." },
            Stage::Stopped => p role="status" {
                "Stopped after " strong { (number(tally.decided)) } ". The same plan again goes on with the rest, and decides nothing twice."
            },
            Stage::Failed(why) => p.problem role="alert" {
                "Failed after " strong { (number(tally.decided)) } ": " (why)
                ". The same plan again goes on with the rest, and decides nothing twice."
            },
        }
        ul { @for (count, why) in left { @if count > 0 { li { (number(count)) " " (why) } } } }
        p { a href="parked" { "Parked effects" } }
    }
}
