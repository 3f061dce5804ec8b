//! The console: web pages on this machine, for one operator's browser, about effects that are done, waiting or parked.
//!
//! `access` controls access · `shell` is the frame of every page · [`screen`] renders and updates a page · `screens` has one file
//! per page · `decisions` executes bulk decisions.

mod access;
mod chart;
mod decisions;
mod glance;
mod screen;
mod screens;
mod shell;
mod show;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use driftq_webhooks::{
    config::Config,
    effects::{Table, guard::decide, listing::Listing, runs::RunLog},
};
use tokio::{net::TcpListener, sync::OnceCell, task::JoinHandle};

use self::{access::Access, decisions::Decisions, glance::Glance};
use crate::request::Calls;

/// What a console shows, and how.
#[derive(Debug)]
pub(crate) struct About {
    /// The table, the stack or `up`.
    pub(crate) name: String,
    /// The operator's name for records.
    pub(crate) who: String,
    /// Whether decisions are disabled.
    pub(crate) read_only: bool,
    /// The interval between updates of an open page.
    pub(crate) every: Duration,
}

/// The state that every page can use.
struct App {
    about: About,
    listing: Listing,
    run_log: RunLog,
    /// Applies decisions; [`Decisions`] shows how far the bulk decisions of this console are.
    decide: decide::Decisions,
    config: Arc<Config>,
    /// Created when the first request is shown.
    calls: OnceCell<Calls>,
    glance: Glance,
    decisions: Decisions,
    access: Access,
}

/// A running console, which stops on drop.
#[derive(Debug)]
pub(crate) struct Console {
    url: String,
    serving: JoinHandle<()>,
}

impl Console {
    /// Starts serving on the loopback address; port 0 chooses a free port.
    pub(crate) async fn start(port: u16, table: &Table, config: Arc<Config>, about: About) -> Result<Self> {
        let addr = SocketAddr::from(([127, 0, 0, 1], port));
        let listener = TcpListener::bind(addr)
            .await
            .with_context(|| format!("{addr} can't be listened on; choose another --port, or none"))?;
        let (access, url) = Access::new(listener.local_addr()?, about.read_only);
        let (glance, decisions) = (Glance::default(), Decisions::default());
        let router = screens::router(Arc::new(App {
            about,
            listing: table.listing(),
            run_log: table.run_log(),
            decide: table.decisions(),
            config,
            calls: OnceCell::new(),
            glance,
            decisions,
            access,
        }));
        let serving = tokio::spawn(async move {
            // It never returns: accept errors are retried.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { url, serving })
    }

    /// The URL with the token, which admits one browser, once.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
