//! The console: what has happened, what waits and what is parked, as pages on this machine for one person's browser.
//!
//! `door` who may come in · `shell` what every page has around it · [`screen`] how a page is shown, and kept up to date ·
//! `screens` one page each · `decisions` bulk decisions under way.

mod chart;
mod decisions;
mod door;
mod glance;
mod screen;
mod screens;
mod shell;
mod show;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use driftq_webhooks::{config::Config, effects::Effects};
use tokio::{net::TcpListener, sync::OnceCell, task::JoinHandle};

use self::{decisions::Decisions, door::Door, glance::Glance};
use crate::request::Calls;

/// What it is about.
#[derive(Debug)]
pub(crate) struct About {
    /// The table, the stack or `up`.
    pub(crate) name: String,
    /// Whoever sits here, by the name that goes on record.
    pub(crate) who: String,
    /// Whether nothing can be decided.
    pub(crate) read_only: bool,
    /// How often a page that is looked at is brought up to date.
    pub(crate) every: Duration,
}

/// What every page may use.
struct App {
    about: About,
    effects: Effects,
    config: Arc<Config>,
    /// Made when the first request is shown.
    calls: OnceCell<Calls>,
    glance: Glance,
    decisions: Decisions,
    door: Door,
}

/// A console that is served until this is dropped.
#[derive(Debug)]
pub(crate) struct Console {
    url: String,
    serving: JoinHandle<()>,
}

impl Console {
    /// Serves it on the loopback address; port 0 is any that is free.
    pub(crate) async fn start(
        port: u16,
        effects: Effects,
        config: Arc<Config>,
        about: About,
    ) -> Result<Self> {
        let addr = SocketAddr::from(([127, 0, 0, 1], port));
        let listener = TcpListener::bind(addr)
            .await
            .with_context(|| format!("{addr} can't be listened on; choose another --port, or none"))?;
        let (door, url) = Door::new(listener.local_addr()?, about.read_only);
        let (glance, decisions) = (Glance::default(), Decisions::default());
        let router = screens::router(Arc::new(App {
            about,
            effects,
            config,
            calls: OnceCell::new(),
            glance,
            decisions,
            door,
        }));
        let serving = tokio::spawn(async move {
            // It never returns: accept errors are retried.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { url, serving })
    }

    /// Opens it, once: with the token that lets a browser in.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
