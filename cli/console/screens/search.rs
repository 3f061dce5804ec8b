//! The search box: finds a run, or several candidates, by any id.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::{Html, IntoResponse, Redirect, Response},
};
use maud::html;
use serde::Deserialize;

use super::super::{
    App,
    screen::failed,
    shell,
    show::{number, to},
};
use crate::find;

/// The number of effects that are read for a business key, so that the page loads fast.
const READ: usize = 2_000;

/// The search term.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    id: String,
}

/// Redirects to the run, or lists the candidates.
pub(super) async fn search(State(app): State<Arc<App>>, Query(asked): Query<Asked>) -> Response {
    let sources = find::of_config(&app.config);
    let found = match find::find(&app.listing, &asked.id, &sources, READ).await {
        Ok(found) => found,
        Err(error) => return failed(&app, StatusCode::BAD_GATEWAY, &format!("{error:#}")),
    };
    let runs: BTreeSet<_> = found.iter().map(|record| record.run_id.as_str()).collect();
    if let (1, Some(run)) = (runs.len(), runs.first()) {
        return Redirect::to(&to("run", &[("id", run)])).into_response();
    }
    let list = html! {
        @if runs.is_empty() {
            p.empty {
                "Nothing is on record under " code { (asked.id) }
                ": no run, no effect, no event of a source, and no business key of the last day's newest "
                (number(READ as u64)) " effects."
            }
            p { a href=(to("webhooks", &[("key", &asked.id), ("since", "7d")])) { "Look for a business key further back" } }
        }
        ul { @for run in runs { li { a href=(to("run", &[("id", run)])) { (run) } } } }
    };
    Html(shell::page(&app, "Search", [html! {}, list, html! {}]).into_string()).into_response()
}
