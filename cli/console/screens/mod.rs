//! The screens and their paths.

mod counts;
mod decision;
mod destinations;
mod flow;
mod now;
mod parked;
mod picture;
mod plan;
mod run;
mod search;
mod webhooks;

use std::sync::Arc;

use axum::{
    Router,
    http::{HeaderName, header},
    middleware::from_fn_with_state,
    routing::{get, post},
};

use super::{App, access, screen, shell};

/// The router of all pages, with access control.
pub(super) fn router(app: Arc<App>) -> Router {
    let file = |kind: &'static str, text: &'static str| {
        get(async move || ([(header::CONTENT_TYPE, kind)] as [(HeaderName, _); 1], text))
    };
    let pages = Router::new()
        .route("/", get(screen::show::<now::Now>))
        .route("/webhooks", get(screen::show::<webhooks::Webhooks>))
        .route("/run", get(screen::show::<run::Run>))
        .route("/search", get(search::search))
        .route("/parked", get(screen::show::<parked::Parked>))
        .route("/plan", get(plan::plan))
        .route("/decide", post(decision::begin))
        .route("/decision", get(screen::show::<decision::Progress>))
        .route("/stop", post(decision::stop))
        .route("/destinations", get(screen::show::<destinations::List>))
        .route("/flow", get(screen::show::<flow::Flow>))
        .route("/console.css", file("text/css; charset=utf-8", shell::STYLE))
        .route("/live.js", file("text/javascript; charset=utf-8", shell::SCRIPT))
        .route("/icon.svg", file("image/svg+xml", include_str!("../icon.svg")))
        .with_state(app.clone());
    Router::new()
        .nest(&format!("/{}/", app.access.base()), pages)
        .layer(from_fn_with_state(app, access::guard))
}
