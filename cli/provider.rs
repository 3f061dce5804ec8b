//! Access to a provider's API with the operator's own key.

use std::{env, time::Duration};

use anyhow::{Context as _, Result};
use driftq_webhooks::{
    clients,
    config::{Config, reconcile::Reconcile, source::Source},
    reconcile::{Client, Item, Page, Window},
    secrets::Secrets,
    third_parties::ThirdParties,
};
use jiff::Timestamp;

use crate::{exit::Usage, own::Own};

/// A source whose provider has an API that we use.
pub(crate) struct Provider<'c> {
    /// The source's configuration.
    pub(crate) source: &'c Source,
    client: Client<'c>,
    keeps: Duration,
    /// The pause that the provider requires between two redelivery requests.
    pub(crate) pause: Duration,
}

impl<'c> Provider<'c> {
    /// The provider of a source, with its key from the environment or .env.
    pub(crate) fn of(name: &str, config: &'c Config, own: &Own) -> Result<Self> {
        let known = || config.sources.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let source = config.sources.get(name);
        let source =
            source.ok_or_else(|| Usage(format!("no source is named {name:?}; known are {}", known())))?;
        let reconcile = source.reconcile.as_ref().ok_or_else(|| {
            Usage(format!(
                "source {name} does not say how its provider is asked; add reconcile = {{ every = \"15m\", key = \"NAME\" }} \
                 (docs/providers.md, What did not arrive)"
            ))
        })?;
        let client = Self::client(source, reconcile, config, own)?;
        Ok(Self { source, client, keeps: reconcile.keeps, pause: reconcile.pause() })
    }

    fn client(
        source: &'c Source,
        reconcile: &'c Reconcile,
        config: &'c Config,
        own: &Own,
    ) -> Result<Client<'c>> {
        let name = &reconcile.key;
        let key = own.get(name).ok_or_else(|| {
            Usage(format!(
                "{name} is not set: it is the key of the provider's API; set it in the environment or in .env"
            ))
        })?;
        let get = |name: &str| env::var(name).ok();
        let clients = ThirdParties::new(clients::http(&get)?, config, &get)?;
        let http = clients.client(&reconcile.url, &Secrets::default())?;
        Ok(Client::new(source, reconcile, config, http, &key, Timestamp::now())?)
    }

    /// All items of a period, the newest first.
    pub(crate) async fn all(&self, window: Window) -> Result<Vec<Item>> {
        let (mut all, mut page) = (Vec::new(), None);
        loop {
            let Page { items, next } =
                self.client.page(window, page.as_deref()).await.context("the provider")?;
            let is_last = items.last().is_some_and(|item| item.at < window.from);
            all.extend(items);
            page = next.filter(|_| !is_last);
            if page.is_none() {
                return Ok(all);
            }
        }
    }

    /// A warning if the period begins before what the provider keeps.
    pub(crate) fn out_of_reach(&self, window: Window) -> Option<String> {
        let days = self.keeps.as_secs() / (24 * 3600);
        (window.from < Timestamp::now() - self.keeps)
            .then(|| format!("the provider keeps what it has sent for {days} days, and lists nothing older"))
    }

    pub(crate) fn api(&self) -> &Client<'c> {
        &self.client
    }
}
