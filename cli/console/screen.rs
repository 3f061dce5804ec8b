//! Rendering and updating of a page. A request for HTML gets the page. A request for an event stream gets the part of the page
//! that changes, each time that it has changed.

use std::{convert::Infallible, sync::Arc};

use anyhow::Result;
use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode, header},
    response::{
        Html, IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::stream;
use maud::{Markup, html};
use serde::de::DeserializeOwned;
use tokio::time::sleep;

use super::{App, shell};

/// A page. Its fields are the parameters of its URL.
pub(super) trait Screen: DeserializeOwned + Send + Sync + 'static {
    /// Its name in the list of screens.
    const NAME: &'static str;

    /// The factor by which its update interval is longer than usual: larger for pages that need many reads.
    const SLOWER: u32 = 1;

    /// The static part above: forms, and their subject. It is not updated, so that the operator can type.
    fn still(&self, app: &App) -> Markup;

    /// The static part below.
    fn below(&self, _app: &App) -> Markup {
        html! {}
    }

    /// The part that is updated.
    fn live(&self, app: &App) -> impl Future<Output = Result<Markup>> + Send;
}

/// Answers with the page, or with a stream of its changes.
pub(super) async fn show<S: Screen>(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    asked: Result<Query<S>, QueryRejection>,
) -> Response {
    let screen = match asked {
        Ok(Query(screen)) => screen,
        Err(rejection) => return failed(&app, StatusCode::BAD_REQUEST, &rejection.body_text()),
    };
    if headers.get(header::ACCEPT).is_some_and(|accept| accept == "text/event-stream") {
        return follow(app, screen);
    }
    match screen.live(&app).await {
        Ok(live) => {
            let page = shell::page(&app, S::NAME, [screen.still(&app), live, screen.below(&app)]);
            Html(page.into_string()).into_response()
        }
        Err(error) => failed(&app, StatusCode::BAD_GATEWAY, &format!("{error:#}")),
    }
}

/// A page with an error.
pub(super) fn failed(app: &App, status: StatusCode, why: &str) -> Response {
    let page = shell::page(app, "", [html! { p.problem role="alert" { (why) } }, html! {}, html! {}]);
    (status, Html(page.into_string())).into_response()
}

/// A stream of changes, until the browser disconnects.
fn follow<S: Screen>(app: Arc<App>, screen: S) -> Response {
    let changes = stream::unfold((app, screen, None::<String>), async |(app, screen, last)| {
        loop {
            if last.is_some() {
                sleep(app.about.every * S::SLOWER).await;
            }
            let now = match screen.live(&app).await {
                Ok(live) => live.into_string(),
                Err(error) => html! { p.problem role="alert" { (format!("{error:#}")) } }.into_string(),
            };
            if last.as_ref() != Some(&now) {
                // JSON, because a text may contain line ends of any kind.
                let event = Event::default().json_data(&now).unwrap_or_default();
                return Some((Ok::<_, Infallible>(event), (app, screen, Some(now))));
            }
        }
    });
    Sse::new(Box::pin(changes)).keep_alive(KeepAlive::default()).into_response()
}
